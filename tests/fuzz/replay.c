/* replay FILE|DIRECTORY...: feeds each file to the fuzz target that it is linked with, so that
 * the corpus is a test that needs no fuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(1);
    }
    size_t len = 0, cap = 1u << 20;
    uint8_t *all = malloc(cap);
    len = fread(all, 1, cap, f);
    fclose(f);
    /* a block of exactly this size, so that a sanitizer detects a read past its end */
    uint8_t *data = malloc(len ? len : 1);
    memcpy(data, all, len);
    free(all);
    LLVMFuzzerTestOneInput(data, len);
    free(data);
    replayed++;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        if (d == NULL) {
            replay_file(argv[i]);
            continue;
        }
        for (struct dirent *e; (e = readdir(d)) != NULL;) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            replay_file(path);
        }
        closedir(d);
    }
    printf("%s: %zu inputs replayed\n", argv[0], replayed);
    return replayed == 0;
}
