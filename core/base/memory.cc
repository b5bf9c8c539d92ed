#include <jemalloc/jemalloc.h>

/// A program that links this takes its memory from jemalloc, which keeps what is freed for ten seconds. The blocks of a
/// training step are megabytes, of other sizes in each step. glibc gives such blocks back to the system when they are
/// freed, and every page is faulted in again, which was seen to take half of the step's time; told to keep them, it
/// spent an eighth of the time of pre-training in looking for one that fits. Kept for ever, they grew to ten gigabytes.
extern "C" const char* malloc_conf = "dirty_decay_ms:10000,muzzy_decay_ms:10000,oversize_threshold:0";
