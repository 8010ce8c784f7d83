# SPDX-License-Identifier: MIT
exec node near_kit.mjs
