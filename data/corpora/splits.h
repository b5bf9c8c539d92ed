#pragma once

#include <string>
#include <vector>

#include "core/config/fields.h"
#include "data/manifest/writer.h"

namespace strata {

/// How own data are split; shared by the corpora `table`, `kaldi` and `lhotse`. In this order:
///   1. a column of the data that says train, dev or test (`split_column`);
///   2. parts in which the data come: sub-folders or files named train, dev, test;
///   3. at random by `ratios`, all utterances with the same `split_by` together: `"split_by": "speaker"` keeps test
///      speakers unseen. The draw is a hash of that value: more data later do not move what is there.
/// `valid`, `val`, `validation` and `development` are written `dev`. Every task in `tasks` gets the same split.
struct SplitOptions {
  std::vector<std::string> tasks;
  std::string split_column;
  std::string split_by = "id";
  std::vector<double> ratios = {0.8, 0.1, 0.1};

  void fields(Fields& f) {
    f.texts("tasks", tasks, "tasks to write splits for, such as asr; empty: no splits");
    f.text("split_column", split_column, "field that names the split of each utterance; empty: parts, else ratios");
    f.text("split_by", split_by, "field whose values are kept together when splitting by ratios");
    f.numbers("ratios", ratios, "shares of train, dev and test when splitting by ratios");
  }
};

/// The field that says in which part of the source an utterance was ("train"); made by those who read such sources.
inline constexpr const char* kPartField = "part";

/// Adds the splits of `options.tasks` to the draft. Throws ConfigError: ratios that are not three shares summing to 1;
/// an utterance without the field (its place), a value that cannot name a file, a split that stays empty.
void assign_splits(CorpusDraft& draft, const SplitOptions& options);

/// Gives each utterance without a duration that of its file, from the file's header. Where the header cannot be read
/// the utterance stays, with a warning: extraction records it. Their number goes to `notes.unreadable`.
void fill_durations(CorpusDraft& draft);

}  // namespace strata
