#include "tests/program/store_faults.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/file.h"

namespace strata {
namespace {

constexpr int kUtterances = 24;
constexpr const char* kExtract = "--quiet extract study.json --threads 1 --shard-bytes 30000";

bool is_read(const std::string& name) {
  return (name.ends_with(".h5") || name.ends_with(".json")) && !name.ends_with("/owner.json");
}

std::string one_line_of(const RunResult& run) {
  return fmt::format("exit code {}, standard error: {}", run.code, run.err);
}

}  // namespace

bool Fault::fits(const FileCall& call) const {
  if (action == "short") return call.kind == "write" && call.data.size() > 1;
  if (action == "EINTR")
    return call.kind == "create" || call.kind == "write" || call.kind == "sync" || call.kind == "truncate";
  return action == "EIO" || call.kind != "unlink";
}

bool Fault::ends_the_run(const std::string& kind) const {
  if (action == "short" || (action == "EINTR" && !forever)) return false;
  return kind != "unlink";
}

std::vector<Fault> all_faults() {
  std::vector<Fault> faults;
  for (const char* action : {"ENOSPC", "EIO", "EDQUOT", "EINTR", "short"}) {
    for (const bool forever : {false, true}) faults.push_back({action, forever});
  }
  return faults;
}

StoreFaults::StoreFaults() : place_(kUtterances), root_(fs::canonical(place_.folder()) / "disk") {
  Json study = place_.read_study();
  study["store"] = "disk/features";
  place_.write_study(study);
  clear();
  RunResult run = extract("");
  if (run.code != 0) throw InternalError("the undisturbed extraction failed: " + one_line_of(run));
  reference_ = files();
  clear();
  const fs::path log = place_.folder() / "calls";
  run = extract("export STRATA_SHIM_LOG=" + log.string());
  if (run.code != 0 || files() != reference_)
    throw InternalError("a second extraction is not as the first: " + one_line_of(run));
  calls_ = read_file_calls(log);
}

void StoreFaults::clear() const {
  fs::remove_all(root_);
  fs::create_directories(root_);
}

RunResult StoreFaults::extract(const std::string& environment) const {
  if (environment.empty()) return place_.run(kExtract);
  return place_.run(kExtract, 0,
                    fmt::format("export STRATA_SHIM_FOLDER={} LD_PRELOAD={}\n{}", root_.string(),
                                fs::absolute("tests/program/fault_shim.so").string(), environment));
}

StoreFaults::Files StoreFaults::files() const { return place_.files("disk", ""); }

std::string StoreFaults::wrong_in(const Files& files) const {
  for (const auto& [name, content] : files) {
    if (!is_read(name)) continue;
    const auto expected = reference_.find(name);
    if (expected == reference_.end()) return name + " is visible, the reference has no such file";
    if (content != expected->second)
      return fmt::format("{} ({} bytes) differs from the reference ({} bytes)", name, content.size(),
                         expected->second.size());
    if (name.ends_with(".h5") && !files.contains(name.substr(0, name.size() - 2) + "json"))
      return name + " is visible without its sidecar";
  }
  return "";
}

std::string StoreFaults::wrong_after_rerun() const {
  const RunResult run = extract("");
  if (run.code != 0) return "it does not continue: " + one_line_of(run);
  const Files now = files();
  for (const auto& [name, content] : now) {
    if (!reference_.contains(name)) return "continued, it leaves " + name + " behind";
  }
  for (const auto& [name, content] : reference_) {
    if (!now.contains(name) || now.at(name) != content) return "continued, it ends without the reference's " + name;
  }
  return "";
}

std::string StoreFaults::kill_at(std::size_t call) {
  clear();
  const RunResult run = extract(fmt::format("export STRATA_SHIM_ACTION=kill STRATA_SHIM_AT={}", call));
  if (run.code != 137) return "it was not killed: " + one_line_of(run);
  const std::string wrong = wrong_in(files());
  return wrong.empty() ? wrong_after_rerun() : wrong;
}

std::string StoreFaults::fail_at(std::size_t call, const Fault& fault) {
  clear();
  const fs::path struck = place_.folder() / "struck";
  fs::remove(struck);
  const RunResult run =
      extract(fmt::format("export STRATA_SHIM_ACTION={} STRATA_SHIM_AT={} STRATA_SHIM_STRUCK={} {}", fault.action, call,
                          struck.string(), fault.forever ? "STRATA_SHIM_FOREVER=1" : ""));
  const std::string strokes = read_file(struck);
  if (strokes.empty()) return "the fault was not delivered: " + one_line_of(run);
  const std::string wrong = wrong_in(files());
  if (!wrong.empty()) return wrong;
  if (run.code == 0) {
    if (fault.ends_the_run(strokes.substr(0, strokes.find('\t'))))
      return "it says that all is well, but was told of an error: " + strokes;
    for (const auto& [name, content] : reference_) {
      if (!files().contains(name)) return "it says that all is well, but lacks " + name;
    }
  } else if (run.code != 1 || run.times_in_err("strata: error: ") != 1 || run.times_in_err("\n") != 1 ||
             run.times_in_err("disk/features") + run.times_in_err("error: disk: ") == 0) {  // or the folder it is in
    return "not one line with the file's name: " + one_line_of(run);
  }
  if (run.code != 0 && !fault.ends_the_run("write")) return "it gives up where it need not: " + one_line_of(run);
  return wrong_after_rerun();
}

std::string StoreFaults::lose_power_after(std::size_t calls, LossyDisk::Kept kept, std::uint64_t seed, bool rerun) {
  LossyDisk disk(root_);
  for (std::size_t c = 0; c < calls; ++c) disk.apply(calls_.at(c));
  RandomStream random({seed, calls});
  const Files left = disk.after_loss(kept, random);
  const std::string wrong = wrong_in(left);
  if (!wrong.empty()) return wrong;
  if (calls == calls_.size()) {
    for (const auto& [name, content] : reference_) {
      if (!left.contains(name)) return "the run had ended well, and the loss took " + name;
    }
  }
  if (!rerun) return "";
  clear();
  for (const auto& [name, content] : left) {
    if (name.ends_with("/")) {
      fs::create_directories(root_ / name);
    } else {
      write_file_atomically(root_ / name, content);
    }
  }
  return wrong_after_rerun();
}

}  // namespace strata
