#include "data/store/verified.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/config/json.h"

namespace strata {
namespace {

/// Size and time of change of a file, "" if it is gone.
std::string stamp(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return "";
  return fmt::format("{} {}.{:09}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

}  // namespace

VerifiedShards::VerifiedShards(const fs::path& corpus_folder) : path_(corpus_folder / "verified.json") {
  try {
    known_ = Json::parse(read_file(path_)).get<std::map<std::string, std::string>>();
  } catch (const Json::exception&) {
  } catch (const FileError&) {
  }
}

bool VerifiedShards::contains(const ShardReader& shard) const {
  const auto found = known_.find(shard.path().filename());
  return found != known_.end() && found->second == stamp(shard.path());
}

void VerifiedShards::add(const ShardReader& shard) {
  known_[shard.path().filename()] = stamp(shard.path());
}

void VerifiedShards::save() {
  try {
    write_file_atomically(path_, Json(known_).dump(1) + "\n");
  } catch (const FileError&) {
  }
}

void require_whole(const ShardReader& shard) {
  const std::vector<std::string> damaged = shard.verify();
  if (damaged.empty()) return;
  throw DataError(fmt::format("{}: the frames of {} utterances do not have their checksums, the first \"{}\"; `strata verify --repair` removes the shard, "
                              "`strata extract` fills the hole", shard.path().string(), damaged.size(), damaged.front()));
}

}  // namespace strata
