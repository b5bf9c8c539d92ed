#include "data/store/shard.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using hdf5::StoredType;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<Tap> kTaps = {{"h0", 4, 320}, {"h1", 3, 640}};

class ShardOfType : public testing::TestWithParam<StoredType> {};

INSTANTIATE_TEST_SUITE_P(Types, ShardOfType,
                         testing::Values(StoredType::kFloat32, StoredType::kFloat16, StoredType::kBFloat16),
                         [](const auto& info) { return hdf5::name_of(info.param); });

fs::path shard_in(const std::string& folder) { return fs::path(testing::TempDir()) / folder / "shard-00000.h5"; }

std::vector<ShardUtterance> two_utterances(StoredType type) {
  return {utterance("läufer/Ω 1", kTaps, {5, 2}, type), utterance("b", kTaps, {3, 2}, type)};
}

TEST_P(ShardOfType, ComesBackAsWritten) {
  const fs::path path = shard_in("round_trip_" + hdf5::name_of(GetParam()));
  fs::create_directories(path.parent_path());
  const auto written = two_utterances(GetParam());
  write_shard(path, kTaps, GetParam(), written, {{"c", "no such file"}});

  const ShardReader shard(path, kTaps, GetParam());
  EXPECT_THAT(shard.ids(), ElementsAre("läufer/Ω 1", "b"));
  EXPECT_THAT(shard.samples(), ElementsAre(1600, 960));
  ASSERT_EQ(shard.failed().size(), 1u);
  EXPECT_EQ(shard.failed()[0].id, "c");
  EXPECT_EQ(shard.failed()[0].reason, "no such file");
  for (std::size_t u = 0; u < written.size(); ++u) {
    for (std::size_t t = 0; t < kTaps.size(); ++t)
      EXPECT_TRUE(at::equal(shard.read(t, u), written[u].features[t])) << u << " " << t;
  }
  EXPECT_THAT(shard.tap(1).first, ElementsAre(0, 2));
  EXPECT_THAT(shard.verify(), IsEmpty());
}

/// Reads a whole dataset as any program would that knows HDF5 and nothing of us.
std::vector<float> read_as_float(const fs::path& path, const char* name) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
  const hid_t space = H5Dget_space(set);
  std::vector<float> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
  EXPECT_GE(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  H5Sclose(space);
  H5Dclose(set);
  H5Fclose(file);
  return values;
}

TEST_P(ShardOfType, IsReadByPlainHdf5) {
  const fs::path path = shard_in("plain_" + hdf5::name_of(GetParam()));
  fs::create_directories(path.parent_path());
  write_shard(path, {{"h0", 3, 320}}, GetParam(),
              {{"a",
                640,
                {table(2, 3, GetParam(),
                       [](std::int64_t r, std::int64_t c) {
                         return r == 0 ? -0.25 - static_cast<double>(c) : 24.0 * static_cast<double>(c);
                       })}}},
              {});
  EXPECT_THAT(read_as_float(path, "/taps/h0/frames"), ElementsAre(-0.25, -1.25, -2.25, 0, 24, 48));
}

TEST_P(ShardOfType, HasEqualBytesForEqualContent) {
  const fs::path one = shard_in("equal_one_" + hdf5::name_of(GetParam())),
                 other = shard_in("equal_other_" + hdf5::name_of(GetParam()));
  for (const fs::path& path : {one, other}) {
    fs::create_directories(path.parent_path());
    write_shard(path, kTaps, GetParam(), two_utterances(GetParam()), {});
    if (path == one) std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5's time stamps count seconds
  }
  EXPECT_EQ(read_file(one), read_file(other));
  EXPECT_EQ(read_file(sidecar_path(one)), read_file(sidecar_path(other)));
}

TEST(Shard, MayHoldNoUtteranceAndUtterancesWithoutFrames) {
  const fs::path folder = fresh_folder();
  write_shard(folder / "none.h5", kTaps, StoredType::kFloat16, {}, {{"a", "unreadable"}});
  const ShardReader none(folder / "none.h5", kTaps, StoredType::kFloat16);
  EXPECT_THAT(none.ids(), IsEmpty());
  EXPECT_EQ(none.failed().size(), 1u);

  write_shard(folder / "short.h5", kTaps, StoredType::kFloat32,
              {utterance("a", kTaps, {1, 0}), utterance("b", kTaps, {2, 1})}, {});
  const ShardReader some(folder / "short.h5", kTaps, StoredType::kFloat32);
  EXPECT_EQ(some.read(1, 0).sizes(), (std::vector<std::int64_t>{0, 3}));
  EXPECT_TRUE(at::equal(some.read(1, 1), grid(1, 3)));
  EXPECT_THAT(some.verify(), IsEmpty());
}

TEST(Shard, RefusesFeaturesThatAreNotTheStores) {
  const fs::path folder = fresh_folder();
  EXPECT_THAT(error_of<InternalError>([&] {
                write_shard(folder / "s.h5", kTaps, StoredType::kFloat16, two_utterances(StoredType::kFloat32), {});
              }),
              HasSubstr("utterance läufer/Ω 1 has features of another shape or type than the store"));
  EXPECT_THAT(names_in(folder), IsEmpty());
}

/// What `action` says in a process whose files may not grow beyond `bytes`: its exit is part of the test, since HDF5
/// closes at exit what it could not write.
std::string error_with_file_limit(rlim_t bytes, const std::function<void()>& action) {
  int pipe_ends[2];
  EXPECT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);  // write() then fails with EFBIG, as it would with ENOSPC
    const rlimit limit{bytes, bytes};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::string message = "nothing was thrown";
    try {
      action();
    } catch (const DataError& e) {
      message = e.what();
    } catch (const std::exception& e) {
      message = std::string("another error: ") + e.what();
    }
    if (::write(pipe_ends[1], message.data(), message.size()) < 0) std::_Exit(9);
    std::exit(0);
  }
  ::close(pipe_ends[1]);
  std::string message(4096, '\0');
  const ssize_t length = ::read(pipe_ends[0], message.data(), message.size());
  message.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  ::close(pipe_ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  return message;
}

TEST(Shard, FullDiskIsOneErrorAndLeavesNothing) {
  const fs::path folder = fresh_folder();
  const std::vector<Tap> taps = {{"h0", 64, 320}, {"h1", 64, 320}};
  const std::vector<ShardUtterance> utterances = {utterance("a", taps, {200, 200})};
  // Whole: 2 x 51,200 bytes and tables. The limits fall into the sidecar, the frames of each tap, the last tables.
  write_shard(folder / "whole.h5", taps, StoredType::kFloat32, utterances, {});
  const rlim_t whole = fs::file_size(folder / "whole.h5");
  fs::remove(folder / "whole.h5");
  fs::remove(folder / "whole.json");
  for (const rlim_t limit : {rlim_t{0}, rlim_t{100}, rlim_t{5000}, rlim_t{70000}, whole - 1000, whole - 1}) {
    const std::string message = error_with_file_limit(
        limit, [&] { write_shard(folder / "shard-00000.h5", taps, StoredType::kFloat32, utterances, {}); });
    EXPECT_EQ(message, folder.string() + (limit < 1000 ? "/shard-00000.json" : "/shard-00000.h5") +
                           ".part: cannot write: File too large")
        << limit;
    EXPECT_THAT(names_in(folder), IsEmpty()) << limit;
  }
}

TEST(Shard, CanBeWrittenAfterTheDiskWasFull) {
  const fs::path folder = fresh_folder();
  const std::vector<Tap> taps = {{"h0", 64, 320}};
  const std::vector<ShardUtterance> utterances = {utterance("a", taps, {200})};
  const auto twice = [&] {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    rlimit tight{1000, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &tight);
    EXPECT_THROW(write_shard(folder / "shard-00000.h5", taps, StoredType::kFloat32, utterances, {}), DataError);
    ::setrlimit(RLIMIT_FSIZE, &unlimited);
    write_shard(folder / "shard-00000.h5", taps, StoredType::kFloat32, utterances, {});
    if (!ShardReader(folder / "shard-00000.h5", taps, StoredType::kFloat32).verify().empty())
      throw DataError("damaged");
  };
  EXPECT_EQ(error_with_file_limit(RLIM_INFINITY, twice), "nothing was thrown");
  EXPECT_THAT(names_in(folder), ElementsAre("shard-00000.h5", "shard-00000.json"));
}

}  // namespace
}  // namespace strata
