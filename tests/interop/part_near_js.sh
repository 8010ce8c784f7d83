# SPDX-License-Identifier: MIT
exec node near_js.mjs
