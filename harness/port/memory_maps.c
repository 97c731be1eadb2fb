/* Whether anybody but this process has the shared memory mapped. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "port/private.h"

enum { LINE_MAX_BYTES = 1024, PATH_BYTES = 300 };

/* Is one of a process's mappings of this file? -1 where that cannot be read. */
static int process_maps(const char *pid, const struct stat *file)
{
    char path[PATH_BYTES], line[LINE_MAX_BYTES];
    unsigned major_number, minor_number;
    uint64_t inode;
    int found = 0;
    snprintf(path, sizeof(path), "/proc/%s/maps", pid);
    FILE *maps = fopen(path, "re");
    if (!maps)
        return errno == EACCES || errno == EPERM ? -1 : 0;
    while (!found && fgets(line, sizeof(line), maps))
        found =
            sscanf(line, "%*s %*s %*s %x:%x %" SCNu64, &major_number, &minor_number, &inode) == 3 &&
            inode == file->st_ino && major_number == major(file->st_dev) &&
            minor_number == minor(file->st_dev);
    fclose(maps);
    return found;
}

static bool in_group(const char *pid, long group)
{
    char path[PATH_BYTES], text[LINE_MAX_BYTES];
    long its = 0;
    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    FILE *stat_file = fopen(path, "re");
    if (!stat_file)
        return false;
    size_t n = fread(text, 1, sizeof(text) - 1, stat_file);
    fclose(stat_file);
    text[n] = '\0';
    const char *rest = strrchr(text, ')'); /* a name may hold anything */
    return rest && sscanf(rest + 1, " %*c %*d %ld", &its) == 1 && its == group;
}

bool pl_memory_mapped(int fd, long group)
{
    struct stat file;
    struct dirent *entry;
    DIR *processes = opendir("/proc");
    bool mapped = false;
    if (!processes)
        return true;
    if (fstat(fd, &file) != 0) {
        closedir(processes);
        return true;
    }
    while (!mapped && (entry = readdir(processes))) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            strtol(entry->d_name, NULL, 10) == getpid())
            continue;
        int maps = process_maps(entry->d_name, &file);
        mapped = maps > 0 || (maps < 0 && in_group(entry->d_name, group));
    }
    closedir(processes);
    return mapped;
}
