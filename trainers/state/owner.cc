#include "trainers/state/owner.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/log.h"

namespace strata {
namespace {

constexpr double kLiveSeconds = 60;
constexpr std::chrono::seconds kBeat{15};

double now_seconds() {
  using namespace std::chrono;
  return duration<double>(system_clock::now().time_since_epoch()).count();
}

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// Field 22 of /proc/<pid>/stat: a process number that came round again has another start time. "" if there is no such process.
std::string start_time(std::int64_t pid) {
  const std::string line = first_line(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return "";
  std::size_t position = name_end + 2;
  for (int field = 3; field < 22; ++field) position = line.find(' ', position) + 1;
  return line.substr(position, line.find(' ', position) - position);
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

/// "pid:[4026531836]": containers of one host may have the host's name, but number their processes for themselves.
std::string pid_namespace() {
  std::error_code unknown;
  return fs::read_symlink("/proc/self/ns/pid", unknown).string();
}

Json own_record(const std::string& what) {
  return {{"what", what},
          {"host", host_name()},
          {"boot_id", first_line("/proc/sys/kernel/random/boot_id")},
          {"pid_namespace", pid_namespace()},
          {"pid", ::getpid()},
          {"start_time", start_time(::getpid())},
          {"heartbeat", now_seconds()}};
}

bool is_live(const Json& record) {
  try {
    if (record.at("host") == host_name()) {
      if (record.at("boot_id") != first_line("/proc/sys/kernel/random/boot_id")) return false;
      // Older versions wrote no namespace.
      if (record.value("pid_namespace", pid_namespace()) == pid_namespace())
        return record.at("start_time") == start_time(record.at("pid"));
    }
    return now_seconds() - record.at("heartbeat").get<double>() < kLiveSeconds;
  } catch (const Json::exception&) {
    return false;  // a record that cannot be read has no owner who could be asked
  }
}

Json read_record(const fs::path& path) {
  std::ifstream file(path);
  return file ? Json::parse(file, nullptr, false) : Json();
}

/// True if two records are of one process: a record without heartbeat.
bool same_process(const Json& a, const Json& b) {
  const auto identity = [](const Json& record) {
    Json same = Json::array();
    for (const char* key : {"host", "boot_id", "pid_namespace", "pid", "start_time"})
      same.push_back(record.is_object() ? record.value(key, Json()) : Json());
    return same;
  };
  return identity(a) == identity(b);
}

/// Removes what processes of this host left beside the record when they were killed.
void remove_leftovers(const fs::path& record) {
  const std::string ours = fmt::format("{}.{}.", record.filename().string(), host_name());
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(record.parent_path(), ignored)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(ours) && start_time(std::strtoll(name.c_str() + ours.size(), nullptr, 10)).empty()) fs::remove(entry.path(), ignored);
  }
}

}  // namespace

Json Owner::live(const fs::path& folder) {
  const Json record = read_record(folder / "owner.json");
  return is_live(record) ? record : Json();
}

Owner::Owner(const fs::path& folder, const std::string& what)
    : path_(folder / "owner.json"), identity_(own_record(what)), record_(identity_) {
  make_folder(folder);
  const fs::path mine = fmt::format("{}.{}.{}", path_.string(), host_name(), ::getpid());
  write_file_atomically(mine, record_.dump() + "\n");
  // link() fails if the name is taken, whoever is first: it is the one atomic step that every file system has.
  while (::link(mine.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    const Json other = read_record(path_);
    if (reason != EEXIST || is_live(other)) {
      ::unlink(mine.c_str());
      if (reason != EEXIST) throw DataError(fmt::format("{}: cannot create: {}", path_.string(), std::strerror(reason)));
      throw DataError(fmt::format("{}: {} (process {} on {}) is working here; wait for it or stop it, or choose another folder", folder.string(),
                                  other.value("what", "another job"), other.value("pid", 0), other.value("host", "?")));
    }
    // Take the dead record out of the way under a name of ours; if what we took is not what we judged, somebody was quicker.
    const fs::path taken = mine.string() + ".dead";
    if (::rename(path_.c_str(), taken.c_str()) == 0) {
      if (read_record(taken) != other) ::link(taken.c_str(), path_.c_str());
      ::unlink(taken.c_str());
    } else if (errno != ENOENT) {
      const int failure = errno;
      ::unlink(mine.c_str());
      throw DataError(fmt::format("{}: cannot rename: {}", path_.string(), std::strerror(failure)));
    }
  }
  ::unlink(mine.c_str());
  remove_leftovers(path_);
  heartbeat_ = std::thread([this] { beat(); });
}

Owner::~Owner() {
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
  }
  ended_.notify_all();
  heartbeat_.join();
  if (same_process(read_record(path_), record_)) ::unlink(path_.c_str());
}

std::string Owner::taken_by() const {
  std::error_code unknown;
  const Json record = read_record(path_);
  if (record.is_object() && !same_process(record, identity_)) {
    try {
      return fmt::format("{} (process {} on {})", record.value("what", "another job"), record.value("pid", 0),
                         record.value("host", "?"));
    } catch (const Json::exception&) {
      return "another job";
    }
  }
  return !fs::exists(path_, unknown) && !unknown ? "another job, which has ended," : "";
}

void Owner::require() const {
  const std::string other = taken_by();
  if (other.empty()) return;
  throw DataError(
      fmt::format("{}: {} took over here, since this job had given no sign of life for {:.0f} s; it ends, "
                  "lest two write at once. Run it again when the other is done",
                  path_.parent_path().string(), other, kLiveSeconds));
}

void Owner::beat() {
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kBeat, [this] { return end_; })) {
    if (!taken_by().empty()) return;  // require() tells
    record_["heartbeat"] = now_seconds();
    try {
      write_file_atomically(path_, record_.dump() + "\n");
    } catch (const std::exception& e) {
      log_warning("{}", e.what());
    }
  }
}

}  // namespace strata
