#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "core/config/json.h"

namespace strata {

/// Who works in a folder (a study's output, a store): one job at a time. The record `owner.json` holds host, boot id, process,
/// its start time, and a heartbeat. On the same host the process itself is looked at; from another host a record is live until its
/// heartbeat is 60 s old. No file locks, which network file systems do not keep.
class Owner {
 public:
  /// Takes the folder (making it) for `what` ("strata sweep"). Throws DataError if another live job has it, naming it.
  Owner(const std::filesystem::path& folder, const std::string& what);
  /// Gives it back.
  ~Owner();
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;

  /// The record in `folder` if it is live, else null: for `strata status`.
  static Json live(const std::filesystem::path& folder);

 private:
  void beat();

  std::filesystem::path path_;
  Json record_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread heartbeat_;
};

}  // namespace strata
