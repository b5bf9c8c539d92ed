#include "core/base/file.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstring>

#include "core/base/error.h"
#include "core/base/file_group.h"
#include "core/base/hash.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(File, IsReadAsItWasWritten) {
  const fs::path path = fresh_folder() / "new/folder/file";
  std::string content(200000, 'x');
  content[3] = '\0';
  write_file_atomically(path, content);
  EXPECT_EQ(read_file(path), content);
  write_file_atomically(path, "");
  EXPECT_EQ(read_file(path), "");
  EXPECT_THAT(names_in(path.parent_path()), ElementsAre("file"));
}

TEST(File, SaysWhatIsWrong) {
  const fs::path folder = fresh_folder();
  EXPECT_EQ(error_of<DataError>([&] { read_file(folder / "none"); }),
            (folder / "none").string() + ": cannot open: No such file or directory");
  EXPECT_EQ(error_of<DataError>([&] { read_file(folder); }), folder.string() + ": cannot read: Is a directory");
  write_file_atomically(folder / "file", "x");
  EXPECT_EQ(error_of<ConfigError>([&] { write_file_atomically(folder / "file/a/b", "x"); }),
            (folder / "file/a").string() + ": cannot make this folder: " + (folder / "file").string() +
                " is a file, not a folder");
  fs::create_directories(folder / "taken/inside");
  EXPECT_THAT(error_of<DataError>([&] { write_file_atomically(folder / "taken", "x"); }),
              testing::StartsWith((folder / "taken.part").string() + ": cannot rename: "));
  EXPECT_THAT(names_in(folder), ElementsAre("file", "taken"));
}

TEST(File, KeepsTheOldContentIfTheDiskIsFull) {
  const fs::path folder = fresh_folder();
  write_file_atomically(folder / "file", "old");
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ::getrlimit(RLIMIT_FSIZE, &old);
  const rlimit tight{1000, old.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const std::string message =
      error_of<DataError>([&] { write_file_atomically(folder / "file", std::string(2000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(message, (folder / "file.part").string() + ": cannot write: File too large");
  EXPECT_THAT(names_in(folder), ElementsAre("file"));
  EXPECT_EQ(read_file(folder / "file"), "old");
}

TEST(File, IsWrittenFromPieces) {
  const fs::path path = fresh_folder() / "file";
  std::vector<std::string> pieces;
  for (const std::size_t size : {0, 3, 300'000, 100'000, 100'000, 100'000, 1, 262'144, 262'145, 0, 5})
    pieces.emplace_back(size, static_cast<char>('a' + pieces.size()));
  std::string whole;
  for (const std::string& piece : pieces) whole += piece;
  write_files_atomically({{path, {pieces.begin(), pieces.end()}}});
  EXPECT_TRUE(read_file(path) == whole);
}

TEST(File, OfAGroupIsNotNewIfAnotherCannotBeWritten) {
  const fs::path folder = fresh_folder();
  write_files_atomically({{folder / "new/one", {"1"}}, {folder / "new/other", {"2"}}});
  EXPECT_EQ(read_file(folder / "new/one") + read_file(folder / "new/other"), "12");
  fs::create_directories(folder / "new/other.part");
  EXPECT_EQ(error_of<FileError>([&] {
              write_files_atomically({{folder / "new/one", {"3"}}, {folder / "new/other", {"4"}}});
            }),
            (folder / "new/other.part").string() + ": cannot create: Is a directory");
  EXPECT_EQ(read_file(folder / "new/one"), "1");
  EXPECT_THAT(names_in(folder / "new"), ElementsAre("one", "other", "other.part"));
}

TEST(File, IsMapped) {
  const fs::path folder = fresh_folder();
  write_file_atomically(folder / "file", "content");
  MappedFile first(folder / "file");
  const MappedFile moved(std::move(first));
  EXPECT_EQ(std::string(moved.data(), moved.size_bytes()), "content");
  write_file_atomically(folder / "empty", "");
  EXPECT_EQ(MappedFile(folder / "empty").size_bytes(), 0u);
  EXPECT_EQ(error_of<DataError>([&] { MappedFile(folder / "none"); }),
            (folder / "none").string() + ": cannot open: No such file or directory");
}

TEST(File, IsReadInPlaces) {
  const fs::path path = fresh_folder() / "file";
  write_file_atomically(path, "content");
  const OpenFile file(path), again(path);
  std::string four(4, ' ');
  file.read(2, four);
  EXPECT_EQ(four, "nten");
  EXPECT_EQ(file.size_bytes(), 7u);
  EXPECT_EQ(error_of<FileError>([&] { file.read(4, four); }), path.string() + ": cannot read: it ends at byte 7");
  EXPECT_EQ(file.identity(), again.identity());
  write_file_atomically(path, "another");
  EXPECT_NE(OpenFile(path).identity(), file.identity());
}

TEST(File, KnowsTheSpaceOfAFolderThatIsNotThereYet) {
  const fs::path folder = fresh_folder();
  EXPECT_GT(free_bytes(folder), 0u);
  EXPECT_GT(free_bytes(folder / "not/there/yet"), 0u);
}

/// FIPS 180-2, appendix B.1, and the empty message.
TEST(Hash, IsSha256) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const fs::path folder = fresh_folder();
  write_file_atomically(folder / "file", "abc");
  EXPECT_EQ(sha256_of_file(folder / "file"), sha256("abc"));
  write_file_atomically(folder / "file", "");
  EXPECT_EQ(sha256_of_file(folder / "file"), sha256(""));
}

TEST(Hash, IsXxh3) {
  EXPECT_EQ(xxh3({}), 0x2d06800538d394c2u);  // XXH3_64bits of nothing, as xxHash's specification gives it
  const char text[] = "abc";
  EXPECT_NE(xxh3(std::as_bytes(std::span(text, 3))), xxh3(std::as_bytes(std::span(text, 2))));
}

}  // namespace
}  // namespace strata
