#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/config/json.h"

namespace strata {

/// What a run of the program printed and how it ended.
struct RunResult {
  int code = -1;
  std::string out;
  std::string err;

  /// How often `text` stands in the standard error.
  int times_in_err(const std::string& text) const;
};

/// A small study in a fresh folder, and the built program run on it as a user would.
class Workplace {
 public:
  /// Writes a corpus of tones (4 "speakers", told apart by pitch; `utterances` in all), an untrained HuBERT, and a study
  /// over it and fbank.
  explicit Workplace(int utterances = 48);
  ~Workplace();

  const std::filesystem::path& folder() const { return folder_; }
  /// Runs `strata ARGUMENTS` in the folder, under mpirun where ranks > 0. Times out after five minutes (code 124).
  ///   before   shell commands in front of it, such as limits
  ///   streams  where its input and output go; RunResult holds what it writes to the files stdout and stderr
  RunResult run(const std::string& arguments, int ranks = 0, const std::string& before = "",
                const std::string& streams = ">stdout 2>stderr </dev/null") const;
  /// Starts it, waits until the shell command `condition` succeeds, and runs `action`, to which $run is the process that was
  /// started (mpirun where ranks > 0), `rank N` prints that of a rank, and $program is the program. Ended after two minutes (code 137).
  RunResult run_until(const std::string& arguments, int ranks, const std::string& condition, const std::string& action) const;

  Json read_study() const;
  void write_study(const Json& study) const;
  void write(const std::string& name, const std::string& content) const;
  std::string read(const std::string& name) const;
  /// Content of every file below `name` whose name ends in `ending`, by relative path.
  std::map<std::string, std::string> files(const std::string& name, const std::string& ending) const;
  /// The last `trial_done` event of each trial in an output's journal.
  std::map<std::string, Json> done_trials(const std::string& output) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace strata
