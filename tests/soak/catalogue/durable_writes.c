/* Notes what a process writes below $WATCHED_FOLDER and when it is synced, in the file $WRITE_LOG.
 *
 * Preloaded into a process, it stands before the calls of the C library that change files. A record
 * is a kind, the lengths of path and data, an offset, the path, the data:
 * W written at an offset, T cut to a length, S synced (data: the content of files that the C
 * library itself writes), D folder synced, R renamed (data: the new path), U removed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;

static int is_watched(const char *path) {
    const char *folder = getenv("WATCHED_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static void note(char kind, const char *path, int64_t offset, const void *data, int64_t length) {
    if (!is_watched(path)) return;
    pthread_mutex_lock(&mutex);
    if (log_file < 0) log_file = open(getenv("WRITE_LOG"), O_WRONLY | O_APPEND | O_CREAT, 0600);
    int64_t head[4] = {kind, (int64_t)strlen(path), length, offset};
    struct iovec parts[3] = {{head, sizeof head}, {(void *)path, strlen(path)}, {(void *)data, length}};
    if (writev(log_file, parts, 3) < 0) abort();
    pthread_mutex_unlock(&mutex);
}

static int path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0 && is_watched(path);
}

static void absolute(const char *given, char *path) {
    char folder[PATH_MAX];
    if (given[0] == '/' || !getcwd(folder, sizeof folder)) snprintf(path, PATH_MAX, "%s", given);
    else snprintf(path, PATH_MAX, "%.2000s/%.2000s", folder, given);
}

static void note_sync(int file) {
    char path[PATH_MAX];
    struct stat found;
    if (!path_of(file, path) || fstat(file, &found)) return;
    if (S_ISDIR(found.st_mode)) { note('D', path, 0, "", 0); return; }
    /* The files of SQLite are put together from its writes: each whole would be too much. */
    if (strstr(path, ".sqlite")) { note('S', path, 0, "", 0); return; }
    int copy = open(path, O_RDONLY);
    char *content = malloc(found.st_size + 1);
    ssize_t length = copy < 0 ? -1 : pread(copy, content, found.st_size, 0);
    if (copy >= 0) close(copy);
    note('S', path, 0, content, length < 0 ? 0 : length);
    free(content);
}

ssize_t write(int file, const void *data, size_t count) {
    char path[PATH_MAX];
    ssize_t done = REAL(write)(file, data, count);
    if (done > 0 && file != log_file && path_of(file, path))
        note('W', path, lseek(file, 0, SEEK_CUR) - done, data, done);
    return done;
}

ssize_t pwrite(int file, const void *data, size_t count, off_t offset) {
    char path[PATH_MAX];
    ssize_t done = REAL(pwrite)(file, data, count, offset);
    if (done > 0 && path_of(file, path)) note('W', path, offset, data, done);
    return done;
}

ssize_t pwrite64(int file, const void *data, size_t count, off64_t offset) {
    char path[PATH_MAX];
    ssize_t done = REAL(pwrite64)(file, data, count, offset);
    if (done > 0 && path_of(file, path)) note('W', path, offset, data, done);
    return done;
}

int ftruncate(int file, off_t length) {
    char path[PATH_MAX];
    int failed = REAL(ftruncate)(file, length);
    if (!failed && path_of(file, path)) note('T', path, length, "", 0);
    return failed;
}

int ftruncate64(int file, off64_t length) {
    char path[PATH_MAX];
    int failed = REAL(ftruncate64)(file, length);
    if (!failed && path_of(file, path)) note('T', path, length, "", 0);
    return failed;
}

int fsync(int file) {
    int failed = REAL(fsync)(file);
    if (!failed) note_sync(file);
    return failed;
}

int fdatasync(int file) {
    int failed = REAL(fdatasync)(file);
    if (!failed) note_sync(file);
    return failed;
}

int rename(const char *old, const char *new) {
    char from[PATH_MAX], to[PATH_MAX];
    absolute(old, from);
    absolute(new, to);
    int failed = REAL(rename)(old, new);
    if (!failed) note('R', from, 0, to, strlen(to));
    return failed;
}

int unlink(const char *given) {
    char path[PATH_MAX];
    absolute(given, path);
    int failed = REAL(unlink)(given);
    if (!failed) note('U', path, 0, "", 0);
    return failed;
}
