#include "trainers/state/journal.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>

#include <chrono>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Json> numbers_in(const fs::path& path) {
  std::vector<Json> numbers;
  for (const Json& event : Journal::replay(path)) numbers.push_back(event.at("n"));
  return numbers;
}

TEST(Journal, ReplaysWhatWasAppended) {
  const fs::path path = fresh_folder() / "runs/journal.jsonl";
  EXPECT_THAT(Journal::replay(path), IsEmpty());
  const double before = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  {
    Journal journal(path);
    journal.append({{"n", 1}, {"text", "größer\n"}});
    journal.append({{"n", 2}});
  }
  Journal(path).append({{"n", 3}});
  const auto events = Journal::replay(path);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0]["text"], "größer\n");
  EXPECT_EQ(events[2]["n"], 3);
  EXPECT_GE(events[0]["time"], before);
  EXPECT_LT(events[2]["time"], before + 60);
}

TEST(Journal, LeavesOutATornLastLineAndCutsItOff) {
  const fs::path path = fresh_folder() / "journal.jsonl";
  for (const std::string whole : {"", "{\"n\":1}\n"}) {
    for (const std::string torn : {"{", "{\"n\":2", "{\"n\":2}"}) {  // the last lacks only the end of its line
      write_file_atomically(path, whole + torn);
      EXPECT_EQ(numbers_in(path).size(), whole.empty() ? 0u : 1u);
      EXPECT_EQ(read_file(path), whole + torn) << "a reader changes nothing";
      Journal(path).append({{"n", 3}});
      EXPECT_EQ(numbers_in(path).back(), 3);
      EXPECT_EQ(numbers_in(path).size(), whole.empty() ? 1u : 2u);
    }
  }
}

TEST(Journal, NamesTheBrokenLine) {
  const fs::path path = fresh_folder() / "journal.jsonl";
  for (const char* line : {"{\"n\":", "3", "[]", ""}) {
    write_file_atomically(path, std::string("{\"n\":1}\n") + line + "\n{\"n\":3}\n");
    EXPECT_EQ(error_of<DataError>([&] { Journal::replay(path); }), path.string() + " line 2: not an event of a journal")
        << line;
  }
}

TEST(Journal, TakesBackAnEventThatDoesNotFitOnTheDisk) {
  const fs::path path = fresh_folder() / "journal.jsonl";
  Journal journal(path);
  journal.append({{"n", 1}});
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const rlimit tight{fs::file_size(path) + 10, old.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  EXPECT_EQ(error_of<DataError>([&] {
              journal.append({{"n", 2}});
            }),
            path.string() + ": cannot append: the disk is full");
  ::setrlimit(RLIMIT_FSIZE, &old);
  journal.append({{"n", 3}});
  EXPECT_THAT(numbers_in(path), ElementsAre(1, 3));
}

TEST(Journal, SaysWhyItCannotBeOpened) {
  const fs::path folder = fresh_folder();
  fs::create_directories(folder / "journal.jsonl");
  EXPECT_THAT(error_of<DataError>([&] { Journal journal(folder / "journal.jsonl"); }),
              testing::EndsWith("Is a directory"));
}

}  // namespace
}  // namespace strata
