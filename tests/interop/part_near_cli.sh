# SPDX-License-Identifier: MIT
exec node near_cli.mjs
