# SPDX-License-Identifier: MIT
exec node near_api_js.mjs
