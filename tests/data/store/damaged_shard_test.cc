#include <fmt/format.h>
#include <gmock/gmock.h>
#include <hdf5.h>

#include <fstream>
#include <functional>
#include <limits>
#include <span>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "data/store/shard.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using hdf5::StoredType;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const std::vector<Tap> kTaps = {{"h0", 4, 320}};

/// A shard of two utterances, "a" with 5 frames and "b" with 3, to be damaged.
class DamagedShard : public testing::Test {
 protected:
  DamagedShard() : path_(fresh_folder() / "shard-00000.h5") {
    write_shard(path_, kTaps, StoredType::kFloat32, {utterance("a", kTaps, {5}), utterance("b", kTaps, {3})}, {});
  }

  ShardReader open(const std::vector<Tap>& taps = kTaps, StoredType type = StoredType::kFloat32) const {
    return ShardReader(path_, taps, type);
  }
  std::string error(const std::vector<Tap>& taps = kTaps, StoredType type = StoredType::kFloat32) const {
    return error_of<DataError>([&] { ShardReader(path_, taps, type); });
  }

  void flip(std::int64_t byte) const {
    std::string content = read_file(path_);
    content[static_cast<std::size_t>(byte)] = static_cast<char>(content[static_cast<std::size_t>(byte)] ^ 0x10);
    write_file_atomically(path_, content);
  }

  void change_sidecar(const std::function<void(Json&)>& change) const {
    Json sidecar = Json::parse(read_file(sidecar_path(path_)));
    change(sidecar);
    write_file_atomically(sidecar_path(path_), sidecar.dump());
  }

  const fs::path path_;
};

TEST_F(DamagedShard, IsFoundIfTruncated) {
  const std::string content = read_file(path_);
  write_file_atomically(path_, content.substr(0, content.size() - 1));
  EXPECT_EQ(error(), fmt::format("{}: it has {} bytes, expected {}; it is truncated or was changed. `strata verify "
                                 "--repair` removes it, `strata extract` fills the hole",
                                 path_.string(), content.size() - 1, content.size()));
  write_file_atomically(path_, "");
  EXPECT_THAT(error(), HasSubstr(": it has 0 bytes, expected "));
}

TEST_F(DamagedShard, IsFoundWhereverABitOfItsTablesFlips) {
  const std::string whole = read_file(path_);
  const auto frames = open().tap(0).frames;
  const std::int64_t end = frames.offset_bytes + 8 * 4 * 4;
  for (std::int64_t byte = 0; byte < static_cast<std::int64_t>(whole.size()); ++byte) {
    if (byte >= frames.offset_bytes && byte < end) continue;
    std::string content = whole;
    content[static_cast<std::size_t>(byte)] = static_cast<char>(content[static_cast<std::size_t>(byte)] ^ 0x01);
    std::ofstream(path_, std::ios::binary) << content;
    ASSERT_THAT(error(),
                HasSubstr(": its tables do not have the checksum that shard-00000.json gives; the file is damaged."))
        << byte;
  }
}

TEST_F(DamagedShard, NamesTheUtterancesWhoseFramesChanged) {
  const std::int64_t first = open().tap(0).frames.offset_bytes;
  flip(first + 5 * 4 * 4 - 1);  // last byte of "a"
  EXPECT_THAT(open().verify(), ElementsAre("a"));
  flip(first + 5 * 4 * 4);  // first byte of "b"
  EXPECT_THAT(open().verify(), ElementsAre("a", "b"));
}

TEST_F(DamagedShard, IsRefusedWithoutItsSidecar) {
  fs::remove(sidecar_path(path_));
  EXPECT_EQ(error(),
            path_.string().substr(0, path_.string().size() - 2) + "json: cannot open: No such file or directory");
  fs::remove(path_);
  EXPECT_EQ(error(), path_.string() + ": cannot open: No such file or directory");
}

TEST_F(DamagedShard, IsRefusedWithABrokenSidecar) {
  const std::string place = sidecar_path(path_).string() + ": not a valid sidecar of a shard: ";
  write_file_atomically(sidecar_path(path_), "{\"size_bytes\": 1");
  EXPECT_THAT(error(), StartsWith(place));
  write_file_atomically(sidecar_path(path_), "[]");
  EXPECT_THAT(error(), StartsWith(place));
}

TEST_F(DamagedShard, IsRefusedWithASidecarThatLacksAKey) {
  for (const char* key : {"size_bytes", "checksum", "frame_data", "failed"}) {
    const std::string before = read_file(sidecar_path(path_));
    change_sidecar([&](Json& sidecar) { sidecar.erase(key); });
    EXPECT_THAT(error(), HasSubstr(": not a valid sidecar of a shard: ")) << key;
    write_file_atomically(sidecar_path(path_), before);
  }
}

TEST_F(DamagedShard, IsRefusedWithTheSidecarOfAnotherOfItsSize) {
  const fs::path other = path_.parent_path() / "shard-00001.h5";
  write_shard(other, kTaps, StoredType::kFloat32, {utterance("a", kTaps, {5}), utterance("c", kTaps, {3})}, {});
  ASSERT_EQ(fs::file_size(other), fs::file_size(path_));
  fs::copy_file(sidecar_path(other), sidecar_path(path_), fs::copy_options::overwrite_existing);
  EXPECT_THAT(error(), HasSubstr(": its tables do not have the checksum that shard-00000.json gives"));
}

TEST_F(DamagedShard, IsRefusedIfItsSidecarPointsOutside) {
  const auto size = static_cast<std::int64_t>(fs::file_size(path_));
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const std::vector<Json> wrong = {{{-8, 16}},  {{0, -1}},      {{0, size + 1}},          {{size, 1}},
                                   {{most, 1}}, {{most, most}}, {{100, 100}, {150, 100}}, {{1, most}}};
  for (const Json& ranges : wrong) {
    change_sidecar([&](Json& sidecar) { sidecar["frame_data"] = ranges; });
    EXPECT_EQ(error(), sidecar_path(path_).string() + ": its ranges of frame data do not lie in the file") << ranges;
  }
  change_sidecar([&](Json& sidecar) { sidecar["frame_data"] = Json{{"a", 1}}; });
  EXPECT_THAT(error(), HasSubstr(": not a valid sidecar of a shard: "));
}

TEST_F(DamagedShard, IsRefusedIfItIsOfAnotherStore) {
  EXPECT_EQ(error({{"h0", 5, 320}}), path_.string() + " \"/taps/h0/frames\": expected [*, 5], found [*, 4]");
  EXPECT_EQ(error(kTaps, StoredType::kFloat16), path_.string() + " \"taps/h0/frames\": expected contiguous float16");
  EXPECT_THAT(error({{"h1", 4, 320}}), StartsWith(path_.string() + ": HDF5 cannot open taps/h1/frames: "));
}

/// A file made with HDF5 itself, whose sidecar fits: what somebody may write who wants to see us fail.
class HostileShard : public DamagedShard {
 protected:
  /// Reopens the shard with HDF5 for `change`, then writes a sidecar to it.
  void change_file(const std::function<void(hid_t file)>& change) const {
    const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    ASSERT_GE(file, 0);
    change(file);
    H5Fclose(file);
    const std::string content = read_file(path_);
    const std::uint64_t checksum = xxh3(std::as_bytes(std::span(content.data(), content.size())));
    write_file_atomically(sidecar_path(path_), Json{{"size_bytes", content.size()},
                                                    {"checksum", fmt::format("{:016x}", checksum)},
                                                    {"frame_data", Json::array()},
                                                    {"failed", Json::array()}}
                                                   .dump());
  }

  static void write_int64s(hid_t file, const char* name, const std::vector<std::int64_t>& values) {
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    H5Dclose(set);
  }

  /// Puts a dataset in the place of another; it is never written, so HDF5 may leave it without storage.
  static void replace(hid_t file, const char* name, hid_t type, const std::vector<hsize_t>& shape,
                      bool chunked = false) {
    H5Ldelete(file, name, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (chunked) H5Pset_chunk(creation, static_cast<int>(shape.size()), std::vector<hsize_t>(shape.size(), 1).data());
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    EXPECT_GE(set, 0);
    H5Dclose(set);
    H5Pclose(creation);
    H5Sclose(space);
  }
};

TEST_F(HostileShard, IsReadIfNothingIsWrongWithIt) {
  change_file([](hid_t) {});
  EXPECT_THAT(open().ids(), ElementsAre("a", "b"));
  EXPECT_THAT(open().verify(), ElementsAre());
}

TEST_F(HostileShard, MayNotPointOutsideItsFrames) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  struct Case {
    std::vector<std::int64_t> first, count;
  };
  const Case cases[] = {{{0, 5}, {5, 4}},       {{0, 6}, {5, 3}},    {{0, -1}, {5, 3}}, {{0, 5}, {5, -1}},
                        {{0, most}, {5, most}}, {{most, 5}, {1, 3}}, {{0, 9}, {5, 0}}};
  for (const Case& c : cases) {
    change_file([&](hid_t file) {
      write_int64s(file, "/taps/h0/first", c.first);
      write_int64s(file, "/taps/h0/count", c.count);
    });
    EXPECT_EQ(error(), path_.string() + " \"/taps/h0\": its tables point outside its frames")
        << Json(c.first) << Json(c.count);
  }
}

TEST_F(HostileShard, MayNotHaveTablesOfUnequalLength) {
  change_file([](hid_t file) {
    replace(file, "/taps/h0/first", H5T_STD_I64LE, {1});
    write_int64s(file, "/taps/h0/first", {0});
  });
  EXPECT_EQ(error(), path_.string() + " \"/taps/h0\": its tables point outside its frames");
  change_file([](hid_t file) {
    replace(file, "/utterances/samples", H5T_STD_I64LE, {3});
    write_int64s(file, "/utterances/samples", {1, 2, 3});
  });
  EXPECT_EQ(error(), path_.string() + ": 2 ids but 3 sample counts");
}

TEST_F(HostileShard, MayNotPromiseMoreThanItHolds) {
  change_file([](hid_t file) { replace(file, "/utterances/samples", H5T_STD_I64LE, {hsize_t{1} << 40}); });
  EXPECT_EQ(error(), path_.string() + " \"utterances/samples\": expected a list of integers");
  change_file([](hid_t file) { replace(file, "/utterances/id", H5T_C_S1, {hsize_t{1} << 40}); });
  EXPECT_EQ(error(), path_.string() + " \"utterances/id\": expected a list of fixed-length strings");
  change_file([](hid_t file) { replace(file, "/taps/h0/frames", H5T_IEEE_F32LE, {hsize_t{1} << 40, 4}); });
  EXPECT_THAT(error(), StartsWith(path_.string() + " "));
}

TEST_F(HostileShard, MayNotHaveTablesOfAnotherKind) {
  change_file([](hid_t file) { replace(file, "/taps/h0/frames", H5T_IEEE_F32LE, {8, 4}, /*chunked=*/true); });
  EXPECT_EQ(error(), path_.string() + " \"taps/h0/frames\": expected contiguous float32");
  change_file([](hid_t file) { replace(file, "/taps/h0/frames", H5T_IEEE_F32LE, {32}); });
  EXPECT_EQ(error(), path_.string() + " \"taps/h0/frames\": expected [frames, width]");
  change_file([](hid_t file) { replace(file, "/taps/h0/frames", H5T_IEEE_F32LE, {8, 4}); });
  EXPECT_EQ(error(), path_.string() + " \"taps/h0/frames\": HDF5 does not tell where the data are");
  change_file([](hid_t file) { replace(file, "/utterances/samples", H5T_IEEE_F64LE, {2}); });
  EXPECT_EQ(error(), path_.string() + " \"utterances/samples\": expected a list of integers");
  change_file([](hid_t file) { replace(file, "/utterances/id", H5T_STD_I64LE, {2}); });
  EXPECT_EQ(error(), path_.string() + " \"utterances/id\": expected a list of fixed-length strings");
  change_file([](hid_t file) { H5Ldelete(file, "/utterances/id", H5P_DEFAULT); });
  EXPECT_THAT(error(), StartsWith(path_.string() + ": HDF5 cannot open utterances/id: "));
}

TEST_F(HostileShard, MayBeNoHdf5) {
  write_file_atomically(path_, "this is not HDF5");
  const std::string content = "this is not HDF5";
  write_file_atomically(sidecar_path(path_),
                        Json{{"size_bytes", content.size()},
                             {"checksum", fmt::format("{:016x}", xxh3(std::as_bytes(std::span(content))))},
                             {"frame_data", Json::array()},
                             {"failed", Json::array()}}
                            .dump());
  EXPECT_THAT(error(), StartsWith(path_.string() + ": HDF5 cannot open the file: "));
}

}  // namespace
}  // namespace strata
