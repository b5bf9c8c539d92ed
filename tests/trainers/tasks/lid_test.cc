#include <gmock/gmock.h>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/core/testing.h"
#include "tests/errors.h"
#include "tests/folder.h"
#include "trainers/tasks/task.h"

namespace strata {
namespace {

TEST(LidTest, ReadsTheFieldLanguage) {
  const fs::path folder = fresh_folder();
  write_file_atomically(folder / "utterances.jsonl",
                        "{\"id\": \"a\", \"audio\": \"x.wav\", \"language\": \"de\", \"speaker\": \"1\"}\n"
                        "{\"id\": \"b\", \"audio\": \"x.wav\", \"language\": \"cs\", \"speaker\": \"2\"}\n"
                        "{\"id\": \"c\", \"audio\": \"x.wav\", \"language\": \"fr\", \"speaker\": \"3\"}\n");
  write_file_atomically(folder / "lid.train.txt", "a\nb\n");
  write_file_atomically(folder / "lid.dev.txt", "a\n");
  write_file_atomically(folder / "lid.test.txt", "b\n");
  const Corpus corpus = Corpus::read(folder, false);
  const auto task = make_variant<TaskRegistry, const Corpus&>(R"({"type": "lid"})", corpus);
  EXPECT_THAT(task->labels(), testing::ElementsAre("cs", "de"));
  const std::vector<std::string> ids = {"a", "b"};
  const Targets targets = task->targets(ids);
  expect_close(targets.labels, integers({1, 0}));
  const auto metrics = task->measure(ids, tensor({0, 1, 0, 1}, {2, 2}), integers({1, 1}), targets, nullptr);
  EXPECT_EQ(metrics[0].value(), 0.5);

  write_file_atomically(folder / "lid.test.txt", "c\n");
  const Corpus wrong = Corpus::read(folder, false);
  EXPECT_THAT(
      error_of<ConfigError>([&] { make_variant<TaskRegistry, const Corpus&>(R"({"type": "lid"})", wrong); }),
      testing::HasSubstr("line 3: language \"fr\" of \"c\" is in lid.test but not in lid.train: it cannot be learnt"));
}

}  // namespace
}  // namespace strata
