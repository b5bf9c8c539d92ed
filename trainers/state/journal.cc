#include "trainers/state/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {

Journal::Journal(const fs::path& path) : path_(path) {
  make_folder(path.parent_path());
  const std::string content = fs::exists(path) ? read_file(path) : "";
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) throw DataError(fmt::format("{}: cannot open for writing: {}", path.string(), std::strerror(errno)));
  const std::size_t whole = content.rfind('\n') == std::string::npos ? 0 : content.rfind('\n') + 1;
  if (whole != content.size() && ::ftruncate(fd_, static_cast<off_t>(whole)) != 0) {
    throw DataError(fmt::format("{}: cannot cut off its torn last line: {}", path.string(), std::strerror(errno)));
  }
}

Journal::~Journal() { ::close(fd_); }

void Journal::append(Json event) {
  using namespace std::chrono;
  event["time"] = duration<double>(system_clock::now().time_since_epoch()).count();
  const std::string line = event.dump() + "\n";
  const off_t before = ::lseek(fd_, 0, SEEK_END);
  const ssize_t written = ::write(fd_, line.data(), line.size());
  if (written == static_cast<ssize_t>(line.size()) && ::fdatasync(fd_) == 0) return;
  const std::string reason = written < 0 || written == static_cast<ssize_t>(line.size()) ? std::strerror(errno) : "the disk is full";
  // A part of a line would spoil the next event.
  if (::ftruncate(fd_, before) != 0) throw DataError(fmt::format("{}: cannot append ({}), nor take back a part of an event: {}", path_.string(), reason, std::strerror(errno)));
  throw DataError(fmt::format("{}: cannot append: {}", path_.string(), reason));
}

std::vector<Json> Journal::replay(const fs::path& path) {
  std::vector<Json> events;
  if (!fs::exists(path)) return events;
  const std::string content = read_file(path);
  std::size_t line = 1;
  for (std::size_t start = 0; start < content.size(); ++line) {
    const std::size_t end = content.find('\n', start);
    if (end == std::string::npos) break;  // torn
    events.push_back(Json::parse(content.begin() + static_cast<std::ptrdiff_t>(start), content.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false));
    if (!events.back().is_object()) throw DataError(fmt::format("{} line {}: not an event of a journal", path.string(), line));
    start = end + 1;
  }
  return events;
}

}  // namespace strata
