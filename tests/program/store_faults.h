#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/program/power_loss.h"
#include "tests/program/program.h"

namespace strata {

/// What a call is made to do: an error by name, or "short" (a write that writes half).
struct Fault {
  std::string action;
  bool forever = false;  // from that call on

  /// True if a call of this kind can do that.
  bool fits(const FileCall& call) const;
  /// True if a run that meets it at a call of this kind must not say that all is well. All kinds matter but unlink:
  /// that takes away what nobody reads, the owner's record under its first name and at the end, and what is left by a
  /// write that failed, which is told then.
  bool ends_the_run(const std::string& kind) const;
  std::string text() const { return action + (forever ? " for good" : " once"); }
};

/// Errors and short writes, once and for good.
std::vector<Fault> all_faults();

/// `strata extract` on a small study, struck at its calls that change files of the store. Whatever happens: a shard
/// that is visible is the reference's, byte for byte, with its sidecar; no file that is read is broken; run again, it
/// ends with the files of the reference and no others. Each strike returns what was wrong, "" if nothing was.
class StoreFaults {
 public:
  /// Makes the study, extracts it undisturbed, and once more with its calls written down.
  StoreFaults();

  const std::vector<FileCall>& calls() const { return calls_; }

  /// SIGKILL at a call.
  std::string kill_at(std::size_t call);
  /// A fault at a call that it fits. The run ends with one line that names a file, or, if the fault need not end it,
  /// completes the store.
  std::string fail_at(std::size_t call, const Fault& fault);
  /// Power is lost after so many calls.
  ///   rerun  runs the extraction on what is left, too, which takes a second
  std::string lose_power_after(std::size_t calls, LossyDisk::Kept kept, std::uint64_t seed, bool rerun);

 private:
  using Files = std::map<std::string, std::string>;
  void clear() const;
  RunResult extract(const std::string& environment) const;
  Files files() const;
  std::string wrong_in(const Files& files) const;
  std::string wrong_after_rerun() const;

  Workplace place_;
  std::filesystem::path root_;  // of the disk
  Files reference_;             // by path below the root
  std::vector<FileCall> calls_;
};

}  // namespace strata
