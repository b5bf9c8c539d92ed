#include "data/store/shard.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "core/base/error.h"
#include "core/base/file.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using hdf5::Compression;
using hdf5::StoredType;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<Tap> kTaps = {{"h0", 4, 320}, {"h1", 3, 640}};

/// How a shard is stored.
struct Form {
  StoredType type;
  Compression compression;
  std::string name() const { return hdf5::name_of(type) + "_" + hdf5::name_of(compression); }
};

class ShardOfType : public testing::TestWithParam<Form> {};

INSTANTIATE_TEST_SUITE_P(
    Types, ShardOfType,
    testing::Values(Form{StoredType::kFloat32, Compression::kNone}, Form{StoredType::kFloat16, Compression::kNone},
                    Form{StoredType::kBFloat16, Compression::kNone}, Form{StoredType::kInt8, Compression::kNone},
                    Form{StoredType::kFloat32, Compression::kDeflate},
                    Form{StoredType::kFloat16, Compression::kDeflate},
                    Form{StoredType::kBFloat16, Compression::kDeflate}, Form{StoredType::kInt8, Compression::kDeflate},
                    Form{StoredType::kFloat32, Compression::kBlosc}, Form{StoredType::kFloat16, Compression::kBlosc},
                    Form{StoredType::kBFloat16, Compression::kBlosc}, Form{StoredType::kInt8, Compression::kBlosc}),
    [](const auto& info) { return info.param.name(); });

fs::path shard_in(const std::string& folder) { return fs::path(testing::TempDir()) / folder / "shard-00000.h5"; }

std::vector<ShardUtterance> two_utterances(StoredType type) {
  return {utterance("läufer/Ω 1", kTaps, {5, 2}, type), utterance("b", kTaps, {3, 2}, type)};
}

TEST_P(ShardOfType, ComesBackAsWritten) {
  const auto [type, compression] = GetParam();
  const fs::path path = shard_in("round_trip_" + GetParam().name());
  fs::create_directories(path.parent_path());
  const auto written = two_utterances(type);
  write_shard(path, kTaps, type, written, {{"c", "no such file"}}, compression);

  const ShardReader shard(path, kTaps, type);
  EXPECT_EQ(shard.compression(), compression);
  EXPECT_THAT(shard.ids(), ElementsAre("läufer/Ω 1", "b"));
  EXPECT_THAT(shard.samples(), ElementsAre(1600, 960));
  ASSERT_EQ(shard.failed().size(), 1u);
  EXPECT_EQ(shard.failed()[0].id, "c");
  EXPECT_EQ(shard.failed()[0].reason, "no such file");
  for (std::size_t u = 0; u < written.size(); ++u) {
    for (std::size_t t = 0; t < kTaps.size(); ++t)
      EXPECT_TRUE(at::equal(shard.read(t, u), as_read(written[u].features[t], type))) << u << " " << t;
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
  const auto [type, compression] = GetParam();
  const fs::path path = shard_in("plain_" + GetParam().name());
  fs::create_directories(path.parent_path());
  const at::Tensor frames = table(2, 3, type, [](std::int64_t r, std::int64_t c) {
    return r == 0 ? -0.25 - static_cast<double>(c) : 24.0 * static_cast<double>(c);
  });
  write_shard(path, {{"h0", 3, 320}}, type, {{"a", 640, {frames}}}, {}, compression);
  if (type == StoredType::kInt8) {
    EXPECT_THAT(read_as_float(path, "/taps/h0/scale"), ElementsAre(2.25f / 127, 48.0f / 127));
    EXPECT_THAT(read_as_float(path, "/taps/h0/frames"), ElementsAre(-14, -71, -127, 0, 64, 127));
  } else {
    EXPECT_THAT(read_as_float(path, "/taps/h0/frames"), ElementsAre(-0.25, -1.25, -2.25, 0, 24, 48));
  }
}

TEST_P(ShardOfType, HasEqualBytesForEqualContent) {
  const auto [type, compression] = GetParam();
  const fs::path one = shard_in("equal_one_" + GetParam().name()), other = shard_in("equal_other_" + GetParam().name());
  for (const fs::path& path : {one, other}) {
    fs::create_directories(path.parent_path());
    write_shard(path, kTaps, type, two_utterances(type), {}, compression);
    if (path == one) std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5's time stamps count seconds
  }
  EXPECT_EQ(read_file(one), read_file(other));
  EXPECT_EQ(read_file(sidecar_path(one)), read_file(sidecar_path(other)));
}

TEST_P(ShardOfType, MayHoldNoUtteranceAndUtterancesWithoutFrames) {
  const auto [type, compression] = GetParam();
  const fs::path folder = fresh_folder();
  write_shard(folder / "none.h5", kTaps, type, {}, {{"a", "unreadable"}}, compression);
  const ShardReader none(folder / "none.h5", kTaps, type);
  EXPECT_THAT(none.ids(), IsEmpty());
  EXPECT_EQ(none.failed().size(), 1u);

  write_shard(folder / "short.h5", kTaps, type,
              {utterance("a", kTaps, {1, 0}, type), utterance("b", kTaps, {2, 1}, type)}, {}, compression);
  const ShardReader some(folder / "short.h5", kTaps, type);
  EXPECT_EQ(some.read(1, 0).sizes(), (std::vector<std::int64_t>{0, 3}));
  EXPECT_TRUE(at::equal(some.read(1, 1), as_read(grid(1, 3), type)));
  EXPECT_THAT(some.verify(), IsEmpty());
}

/// Frames like those of a model: no two values are alike.
at::Tensor waves(std::int64_t rows, std::int64_t columns, StoredType type) {
  return table(rows, columns, type, [](std::int64_t r, std::int64_t c) {
    return std::sin(0.1 * static_cast<double>(r) + 1.7 * static_cast<double>(c)) * (1.0 + static_cast<double>(c));
  });
}

// Utterances begin and end within chunks, at their ends, and go over several.
TEST_P(ShardOfType, OfManyChunksComesBackAsWritten) {
  const auto [type, compression] = GetParam();
  const fs::path path = fresh_folder() / "shard-00000.h5";
  const std::vector<Tap> taps = {{"h0", 64, 320}, {"h1", 1, 320}};
  const std::int64_t chunk_rows = (128 << 10) / (64 * hdf5::bytes_of(type));
  std::vector<ShardUtterance> written;
  for (const std::int64_t rows : {chunk_rows - 1, std::int64_t{1}, chunk_rows, 2 * chunk_rows + 5, std::int64_t{3}}) {
    written.push_back({"u" + std::to_string(written.size()), 1, {waves(rows, 64, type), waves(rows, 1, type)}});
  }
  write_shard(path, taps, type, written, {}, compression);
  const ShardReader shard(path, taps, type);
  EXPECT_EQ(shard.tap(0).frames.chunk_rows, compression == Compression::kNone ? 0 : chunk_rows);
  EXPECT_EQ(shard.tap(0).frames.chunks.size(), compression == Compression::kNone ? 0u : 5u);
  for (std::size_t u = 0; u < written.size(); ++u) {
    for (std::size_t t = 0; t < 2; ++t) {
      EXPECT_TRUE(at::equal(shard.read(t, u), as_read(written[u].features[t], type))) << u << " " << t;
    }
  }
  EXPECT_THAT(shard.verify(), IsEmpty());
  // Any HDF5 undoes the compression.
  const std::vector<float> plain = read_as_float(path, "/taps/h1/frames");
  const fs::path uncompressed = path.parent_path() / "shard-00001.h5";
  write_shard(uncompressed, taps, type, written, {});
  EXPECT_EQ(plain, read_as_float(uncompressed, "/taps/h1/frames"));
  EXPECT_EQ(shard.tap(0).checksum, ShardReader(uncompressed, taps, type).tap(0).checksum);
}

TEST_P(ShardOfType, IsReadIntoBuffers) {
  const auto [type, compression] = GetParam();
  const fs::path path = fresh_folder() / "shard-00000.h5";
  const std::vector<Tap> taps = {{"h0", 64, 320}, {"h1", 3, 320}};  // the second no multiple of a vector's length
  std::vector<ShardUtterance> written;
  for (const std::int64_t rows : {5, 0, 3000}) {
    written.push_back({"u" + std::to_string(rows), 1, {waves(rows, 64, type), waves(rows, 3, type)}});
  }
  write_shard(path, taps, type, written, {}, compression);
  const ShardReader shard(path, taps, type);
  for (std::size_t u = 0; u < written.size(); ++u) {
    for (std::size_t t = 0; t < taps.size(); ++t) {
      const at::Tensor read = shard.read(t, u);
      const std::int64_t frames = read.size(0), width = read.size(1);
      for (const at::ScalarType dtype : {at::kFloat, scalar_type(type)}) {
        const at::Tensor whole = at::empty({frames, width}, dtype);
        shard.read_into(t, u, whole);
        EXPECT_TRUE(at::equal(whole, read.to(dtype))) << u << " " << t;
        // One of three layers of a batch whose utterances are cut before their end; what is around stays as it is.
        const std::int64_t cut = frames / 2;
        const at::Tensor batch = at::full({frames + 1, 3, width}, 7, at::TensorOptions(dtype)), want = batch.clone();
        want.narrow(0, 0, cut).select(1, 1).copy_(read.narrow(0, 0, cut));
        shard.read_into(t, u, batch.narrow(0, 0, cut).select(1, 1));
        EXPECT_TRUE(at::equal(batch, want)) << u << " " << t;
      }
    }
  }
}

TEST_P(ShardOfType, RefusesBuffersThatDoNotFit) {
  const auto [type, compression] = GetParam();
  const fs::path path = fresh_folder() / "shard-00000.h5";
  write_shard(path, kTaps, type, two_utterances(type), {}, compression);
  const ShardReader shard(path, kTaps, type);
  const auto error = [&](const at::Tensor& out) { return error_of<ShapeError>([&] { shard.read_into(0, 1, out); }); };
  const std::vector<std::vector<std::int64_t>> shapes = {{4, 4}, {3, 3}, {3, 5}, {12}, {1, 3, 4}};
  for (const auto& shape : shapes) {
    EXPECT_THAT(error(at::empty(shape, at::kFloat)), HasSubstr("expected a buffer [3 or fewer, 4] Float"));
  }
  for (const at::ScalarType dtype : {at::kDouble, at::kChar, at::kHalf, at::kBFloat16}) {
    if (dtype != scalar_type(type)) EXPECT_THAT(error(at::empty({3, 4}, dtype)), HasSubstr("found [3, 4] "));
  }
  EXPECT_THAT(error(at::empty({4, 3}, at::kFloat).t()), HasSubstr("found [3, 4] Float on cpu with strides [1, 3]"));
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
