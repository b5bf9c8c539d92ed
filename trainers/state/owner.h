#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "core/config/json.h"

namespace strata {

/// Who works in a folder (a study's output, a store): one job at a time. The record `owner.json` holds host, boot id,
/// process and its namespace, its start time, and a heartbeat. On the same host the process itself is looked at; from
/// another host, or another namespace of processes (a container), a record is live until its heartbeat is 60 s old. No
/// file locks, which network file systems do not keep: so a job that was stopped or cut off for longer than that may
/// find the folder taken, and asks `require` before it publishes anything there.
class Owner {
 public:
  /// Takes the folder (making it) for `what` ("strata sweep"). Throws DataError if another live job has it, naming it.
  Owner(const std::filesystem::path& folder, const std::string& what);
  /// Gives it back.
  ~Owner();
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  /// Throws DataError that names the other if another job has taken the folder over. Reads the record; thread-safe.
  void require() const;

  /// The record in `folder` if it is live, else null: for `strata status`.
  static Json live(const std::filesystem::path& folder);

 private:
  void beat();
  /// Who has the folder, "" if we do. A record that cannot be read is nobody's.
  std::string taken_by() const;

  const std::filesystem::path path_;
  const Json identity_;
  Json record_;  // with the last heartbeat
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread heartbeat_;
};

}  // namespace strata
