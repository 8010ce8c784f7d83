#!/bin/bash
# SPDX-License-Identifier: MIT
# Usage: coverage.sh FOLDER. Prints the line and branch coverage of each source
# folder after the tests ran in a build with COV=1, and the files below 90 %.
# Fails when auth, crypto, store or migration has less than 90 % of its
# branches taken. Nothing is excluded: branches that only a failing allocation
# or system call takes count like any other.
set -eu
build=$1
info=$(mktemp)
trap 'rm -f "$info" "$info.log"' EXIT

if ! lcov --quiet --capture --rc lcov_branch_coverage=1 --no-external --base-directory "$PWD" \
    --directory "$build" --output-file "$info" 2>"$info.log"; then
    cat "$info.log"
    exit 1
fi

awk -v root="$PWD/" -v need=90 -v must="auth crypto store migration" '
    function percent(hit, all) { return all > 0 ? 100 * hit / all : 100 }
    /^SF:/ {
        file = substr($0, 4)
        sub("^" root, "", file)
        folder = file
        sub("/.*", "", folder)
    }
    /^DA:/ { split($0, f, ","); lines[folder]++; lines_hit[folder] += f[2] > 0 }
    /^BRDA:/ {
        split($0, f, ",")
        taken = f[4] != "-" && f[4] > 0
        branches[folder]++
        branches_hit[folder] += taken
        of_file[file]++
        hit_of_file[file] += taken
    }
    END {
        printf "%-12s %8s %12s\n", "folder", "lines %", "branches %"
        n = split("crypto auth chain migration store handlers server backup contract devnet cmd", order, " ")
        for (i = 1; i <= n; i++)
            if (lines[order[i]] > 0)
                printf "%-12s %8.1f %12.1f\n", order[i], percent(lines_hit[order[i]], lines[order[i]]),
                    percent(branches_hit[order[i]], branches[order[i]])
        n = split(must, names, " ")
        for (i = 1; i <= n; i++)
            for (file in of_file)
                if (index(file, names[i] "/") == 1 && percent(hit_of_file[file], of_file[file]) < need)
                    printf "  %-30s %5.1f %% of its branches\n", file,
                        percent(hit_of_file[file], of_file[file]) | "sort"
        close("sort")
        for (i = 1; i <= n; i++)
            if (branches[names[i]] == 0 || percent(branches_hit[names[i]], branches[names[i]]) < need) {
                printf "%s is below %d %% of its branches\n", names[i], need
                bad = 1
            }
        exit bad
    }' "$info"
