# SPDX-License-Identifier: MIT
exec node signatures.mjs
