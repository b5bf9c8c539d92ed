// Preloaded into a program under test (LD_PRELOAD): counts, from 0, the calls that change files below a folder; one of
// them ends the process, fails or is cut short, or all are written down. The environment says what to do:
//   STRATA_SHIM_FOLDER   absolute; calls on it and on paths in it count
//   STRATA_SHIM_ACTION   kill (a write is done by half first), short, or an error: ENOSPC, EDQUOT, EIO, EINTR
//   STRATA_SHIM_AT       the call that is struck
//   STRATA_SHIM_FOREVER  if set, all later calls too that the action fits
//   STRATA_SHIM_STRUCK   file that gets a line for each call that was struck: "<kind>\t<path>"
//   STRATA_SHIM_LOG      file that gets a record of each call that succeeded; power_loss.h reads it
//   STRATA_SHIM_FREE     bytes that are said to be free in the folder
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// A file that is appended to without the functions that are watched here; -1 without a path.
int open_record(const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;
  return path.empty() ? -1 : static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), kFlags, 0666));
}

void append(int record, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const long n = syscall(SYS_write, record, text.data() + at, text.size() - at);
    if (n <= 0) abort();
    at += static_cast<std::size_t>(n);
  }
}

struct Orders {
  std::string folder = variable("STRATA_SHIM_FOLDER"), action = variable("STRATA_SHIM_ACTION");
  long at = action.empty() ? -1 : std::atol(variable("STRATA_SHIM_AT").c_str());
  bool forever = !variable("STRATA_SHIM_FOREVER").empty();
  int log = open_record(variable("STRATA_SHIM_LOG")), struck = open_record(variable("STRATA_SHIM_STRUCK"));
  std::atomic<long> calls = 0;
  std::mutex mutex;
};

Orders& orders() {
  static Orders* const given = new Orders;  // calls are made until the very end of a process
  return *given;
}

/// The next definition of a function, that of the C library.
template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

std::string absolute(const char* path) {
  if (*path == '/') return path;
  char folder[PATH_MAX];
  return getcwd(folder, sizeof folder) == nullptr ? "" : std::string(folder) + "/" + path;
}

/// True for the folder and what is in it.
bool is_watched(const std::string& path) {
  return !orders().folder.empty() && (path + "/").starts_with(orders().folder + "/");
}

std::string path_of(int fd) {
  char path[PATH_MAX];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  return length < 0 ? "" : std::string(path, static_cast<std::size_t>(length));
}

/// The error that the action means for a call of this kind; 0 if it means none.
int error_for(const std::string& action, const std::string& call) {
  if (action == "EIO") return EIO;
  if ((action == "ENOSPC" || action == "EDQUOT") && call != "unlink") return action == "ENOSPC" ? ENOSPC : EDQUOT;
  if (action == "EINTR" && (call == "create" || call == "write" || call == "sync" || call == "truncate")) return EINTR;
  return 0;
}

/// One call that changes files.
class Call {
 public:
  Call(const char* kind, const std::string& path) : kind_(kind), path_(path), counts_(is_watched(path)) {
    if (!counts_) return;
    const long number = orders().calls++;
    struck_ = orders().at >= 0 && (number == orders().at || (orders().forever && number > orders().at));
  }

  bool counts() const { return counts_; }
  bool kills() const { return struck_ && orders().action == "kill"; }

  /// How much of a write is to be done.
  std::size_t shortened(std::size_t size) const {
    if (!struck_ || orders().action != "short" || size < 2) return size;
    note();
    return size / 2;
  }

  /// True if the call must not be made; errno is set. Does not come back if it is to end the process.
  bool fails() const {
    if (!struck_) return false;
    if (kills()) kill(getpid(), SIGKILL);
    const int error = error_for(orders().action, kind_);
    if (error == 0) return false;
    note();
    errno = error;
    return true;
  }

  /// Writes down what was done: a line "<kind> <number> <bytes of data>\t<path>\t<other path>", then the data.
  template <class Result>
  Result done(Result result, long number = 0, const std::string& other = "", const void* data = nullptr,
              std::size_t bytes = 0) const {
    if (!counts_ || result < 0 || orders().log < 0) return result;
    const int error = errno;
    std::string record = std::string(kind_) + " " + std::to_string(number) + " " + std::to_string(bytes) + "\t" +
                         path_ + "\t" + other + "\n";
    record.append(static_cast<const char*>(data), bytes);
    const std::lock_guard lock(orders().mutex);
    append(orders().log, record);
    errno = error;
    return result;
  }

 private:
  void note() const {
    if (orders().struck >= 0) append(orders().struck, std::string(kind_) + "\t" + path_ + "\n");
  }

  const char* kind_;
  std::string path_;
  bool counts_;
  bool struck_ = false;
};

template <class Write>
ssize_t write_through(int fd, long offset, const void* data, std::size_t size, Write write) {
  const Call call("write", path_of(fd));
  if (call.counts() && offset < 0) offset = lseek(fd, 0, SEEK_CUR);
  if (call.kills()) write(size / 2);
  if (call.fails()) return -1;
  const ssize_t n = write(call.shortened(size));
  return call.done(n, offset, "", data, n > 0 ? static_cast<std::size_t>(n) : 0);
}

int open_through(const char* name, const char* path, int flags, mode_t mode) {
  const auto open = real<int (*)(const char*, int, mode_t)>(name);
  if ((flags & (O_CREAT | O_TRUNC)) == 0) return open(path, flags, mode);
  const Call call("create", absolute(path));
  return call.fails() ? -1 : call.done(open(path, flags, mode), (flags & O_TRUNC) != 0);
}

int sync_through(const char* name, int fd) {
  const Call call("sync", path_of(fd));
  return call.fails() ? -1 : call.done(real<int (*)(int)>(name)(fd));
}

/// Only what was opened for writing counts. It is closed all the same, as the system does.
int close_through(int fd) {
  const auto close = real<int (*)(int)>("close");
  const int flags = orders().folder.empty() ? -1 : fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) return close(fd);
  const Call call("close", path_of(fd));
  if (!call.fails()) return call.done(close(fd));
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int truncate_through(const char* name, int fd, off_t length) {
  const Call call("truncate", path_of(fd));
  return call.fails() ? -1 : call.done(real<int (*)(int, off_t)>(name)(fd, length), length);
}

int remove_through(const char* name, const char* path) {
  const Call call("unlink", absolute(path));
  return call.fails() ? -1 : call.done(real<int (*)(const char*)>(name)(path));
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  return open_through("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  return open_through("open64", path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t size) {
  return write_through(fd, -1, data, size, [&](std::size_t n) {
    return real<ssize_t (*)(int, const void*, size_t)>("write")(fd, data, n);
  });
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return write_through(fd, offset, data, size, [&](std::size_t n) {
    return real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite")(fd, data, n, offset);
  });
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  return write_through(fd, offset, data, size, [&](std::size_t n) {
    return real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64")(fd, data, n, offset);
  });
}

int fsync(int fd) { return sync_through("fsync", fd); }
int fdatasync(int fd) { return sync_through("fdatasync", fd); }
int close(int fd) { return close_through(fd); }
int ftruncate(int fd, off_t length) noexcept { return truncate_through("ftruncate", fd, length); }
int ftruncate64(int fd, off64_t length) noexcept { return truncate_through("ftruncate64", fd, length); }
int unlink(const char* path) noexcept { return remove_through("unlink", path); }
int remove(const char* path) noexcept { return remove_through("remove", path); }

int rename(const char* from, const char* to) noexcept {
  const Call call("rename", absolute(from));
  return call.fails() ? -1 : call.done(real<int (*)(const char*, const char*)>("rename")(from, to), 0, absolute(to));
}

int link(const char* from, const char* to) noexcept {
  const Call call("link", absolute(from));
  return call.fails() ? -1 : call.done(real<int (*)(const char*, const char*)>("link")(from, to), 0, absolute(to));
}

int mkdir(const char* path, mode_t mode) noexcept {
  const Call call("mkdir", absolute(path));
  return call.fails() ? -1 : call.done(real<int (*)(const char*, mode_t)>("mkdir")(path, mode));
}

int statvfs(const char* path, struct statvfs* status) noexcept {
  const int result = real<int (*)(const char*, struct statvfs*)>("statvfs")(path, status);
  const std::string free_bytes = variable("STRATA_SHIM_FREE");
  if (result != 0 || free_bytes.empty() || !is_watched(absolute(path))) return result;
  status->f_frsize = 1;
  status->f_bavail = std::strtoul(free_bytes.c_str(), nullptr, 10);
  return 0;
}
}
