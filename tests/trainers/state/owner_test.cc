#include "trainers/state/owner.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void write_record(const fs::path& folder, const Json& record) {
  write_file_atomically(folder / "owner.json", record.dump());
}

/// The record of this process, as an owner of `folder` writes it.
Json own_record(const fs::path& folder) {
  const Owner owner(folder, "strata sweep");
  return read_json(folder / "owner.json");
}

TEST(Owner, TakesAFolderAndGivesItBack) {
  const fs::path folder = fresh_folder() / "runs/quick";
  EXPECT_TRUE(Owner::live(folder).is_null());
  {
    const Owner owner(folder, "strata sweep");
    EXPECT_THAT(names_in(folder), ElementsAre("owner.json"));
    const Json live = Owner::live(folder);
    EXPECT_EQ(live["what"], "strata sweep");
    EXPECT_EQ(live["pid"], ::getpid());
  }
  EXPECT_THAT(names_in(folder), IsEmpty());
}

TEST(Owner, RemovesWhatKilledProcessesLeft) {
  const fs::path folder = fresh_folder();
  const std::string host = own_record(folder)["host"];
  const pid_t gone = ::fork();
  if (gone == 0) std::_Exit(0);
  ::waitpid(gone, nullptr, 0);
  const std::string name = "owner.json." + host + ".", live = name + std::to_string(::getppid());
  for (const char* ending : {"", ".part", ".dead"}) write_file_atomically(folder / (name + std::to_string(gone) + ending), "{");
  write_file_atomically(folder / live, "{");
  const Owner owner(folder, "strata sweep");
  EXPECT_THAT(names_in(folder), ElementsAre("owner.json", live));
}

TEST(Owner, RefusesASecondAndNamesTheFirst) {
  const fs::path folder = fresh_folder();
  const Owner owner(folder, "strata sweep");
  const std::string host = Owner::live(folder)["host"];
  EXPECT_EQ(error_of<DataError>([&] { Owner(folder, "strata extract"); }),
            folder.string() + ": strata sweep (process " + std::to_string(::getpid()) + " on " + host +
                ") is working here; wait for it or stop it, or choose another folder");
  EXPECT_THAT(names_in(folder), ElementsAre("owner.json"));
  EXPECT_EQ(Owner::live(folder)["what"], "strata sweep");
}

TEST(Owner, IsRefusedByAnotherProcessThatLivesAndFollowsItOnceItIsKilled) {
  const fs::path folder = fresh_folder();
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    const Owner owner(folder, "strata sweep");
    if (::write(ready[1], "x", 1) != 1) std::_Exit(1);
    ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_THAT(error_of<DataError>([&] { Owner(folder, "strata sweep"); }),
              HasSubstr("(process " + std::to_string(other) + " on "));
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  EXPECT_TRUE(Owner::live(folder).is_null());
  {
    const Owner owner(folder, "strata sweep");
    EXPECT_EQ(Owner::live(folder)["pid"], ::getpid());
  }
  EXPECT_THAT(names_in(folder), IsEmpty());
}

TEST(Owner, IsNotTakenInByANumberThatCameRoundAgain) {
  const fs::path folder = fresh_folder();
  const Json own = own_record(folder);
  for (const char* key : {"start_time", "boot_id"}) {
    Json record = own;
    record[key] = "another";
    write_record(folder, record);
    EXPECT_TRUE(Owner::live(folder).is_null()) << key;
    const Owner owner(folder, "strata sweep");
    EXPECT_FALSE(Owner::live(folder).is_null()) << key;
  }
}

TEST(Owner, BelievesTheHeartbeatOfAnotherHost) {
  const fs::path folder = fresh_folder();
  Json record = own_record(folder);
  record["host"] = "node7";
  record["pid"] = 42;
  record["heartbeat"] = now_seconds() - 50;
  write_record(folder, record);
  EXPECT_EQ(Owner::live(folder)["host"], "node7");
  EXPECT_EQ(
      error_of<DataError>([&] { Owner(folder, "strata sweep"); }),
      folder.string() +
          ": strata sweep (process 42 on node7) is working here; wait for it or stop it, or choose another folder");
  record["heartbeat"] = now_seconds() - 61;
  write_record(folder, record);
  EXPECT_TRUE(Owner::live(folder).is_null());
  const Owner owner(folder, "strata sweep");
  EXPECT_EQ(Owner::live(folder)["pid"], ::getpid());
}

// A container with the host's name, whose process numbers mean nothing here.
TEST(Owner, BelievesTheHeartbeatOfAnotherNamespace) {
  const fs::path folder = fresh_folder();
  Json record = own_record(folder);
  record["pid_namespace"] = "pid:[1]";
  record["start_time"] = "another";
  write_record(folder, record);
  EXPECT_FALSE(Owner::live(folder).is_null());
  record["heartbeat"] = now_seconds() - 61;
  write_record(folder, record);
  EXPECT_TRUE(Owner::live(folder).is_null());
  record = own_record(folder);
  record.erase("pid_namespace");  // as older versions write it
  write_record(folder, record);
  EXPECT_FALSE(Owner::live(folder).is_null());
}

TEST(Owner, TellsWhoTookTheFolderOver) {
  const fs::path folder = fresh_folder();
  const Owner owner(folder, "strata extract");
  owner.require();
  Json record = Owner::live(folder);
  record["host"] = "node7";
  record["pid"] = 42;
  write_record(folder, record);
  const std::string rest =
      " took over here, since this job had given no sign of life for 60 s; it ends, lest two write at once. Run it "
      "again "
      "when the other is done";
  EXPECT_EQ(error_of<DataError>([&] { owner.require(); }),
            folder.string() + ": strata extract (process 42 on node7)" + rest);
  write_file_atomically(folder / "owner.json", "{");  // nobody's
  owner.require();
  fs::remove(folder / "owner.json");
  EXPECT_EQ(error_of<DataError>([&] { owner.require(); }), folder.string() + ": another job, which has ended," + rest);
}

TEST(Owner, LeavesTheRecordOfAnotherWhoTookTheFolder) {
  const fs::path folder = fresh_folder();
  {
    const Owner owner(folder, "strata sweep");
    Json record = Owner::live(folder);
    record["host"] = "node7";
    write_record(folder, record);
  }
  EXPECT_EQ(Owner::live(folder)["host"], "node7");
}

TEST(Owner, TakesAFolderWhoseRecordIsBroken) {
  const fs::path folder = fresh_folder();
  for (const char* content : {"", "{\"host\": ", "[]", "{}", "{\"host\": 3, \"heartbeat\": \"x\"}"}) {
    write_file_atomically(folder / "owner.json", content);
    EXPECT_TRUE(Owner::live(folder).is_null()) << content;
    const Owner owner(folder, "strata sweep");
    EXPECT_EQ(Owner::live(folder)["pid"], ::getpid()) << content;
  }
}

TEST(Owner, SaysWhyItCannotTakeAFolder) {
  const fs::path folder = fresh_folder();
  write_file_atomically(folder / "file", "");
  EXPECT_EQ(error_of<ConfigError>([&] { Owner(folder / "file/runs", "strata sweep"); }),
            (folder / "file/runs").string() + ": cannot make this folder: " + (folder / "file").string() +
                " is a file, not a folder");
}

}  // namespace
}  // namespace strata
