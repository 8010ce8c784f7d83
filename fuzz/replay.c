/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over the files of the folders named on the command line. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return 0;
    enum { MAX = 1 << 20 };
    uint8_t *bytes = malloc(MAX);
    size_t len = bytes != NULL ? fread(bytes, 1, MAX, f) : 0;
    (void)fclose(f);
    /* Exact-size copy, so that a sanitizer sees a read past the end. */
    uint8_t *exact = malloc(len != 0 ? len : 1);
    for (size_t i = 0; exact != NULL && i < len; i++)
        exact[i] = bytes[i];
    if (exact != NULL)
        (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    free(bytes);
    return 1;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        struct dirent *e;
        while (d != NULL && (e = readdir(d)) != NULL) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            count += replay(path);
        }
        if (d != NULL)
            (void)closedir(d);
    }
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
