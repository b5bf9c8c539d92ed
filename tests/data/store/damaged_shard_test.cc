#include <fmt/format.h>
#include <gmock/gmock.h>
#include <hdf5.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <limits>
#include <span>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "data/store/shard.h"
#include "tests/data/store/small_store.h"
#include "tests/errors.h"
#include "tests/folder.h"

namespace strata {
namespace {

using hdf5::Compression;
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
  EXPECT_EQ(error(), path_.string() +
                         ": its sidecar shard-00000.json is not there; `strata verify --repair` removes it, `strata "
                         "extract` fills the hole");
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
  EXPECT_EQ(error(kTaps, StoredType::kFloat16), path_.string() +
                                                    " \"taps/h0/frames\": expected float16, contiguous or in chunks of "
                                                    "whole frames by shuffle and deflate or blosc");
  EXPECT_THAT(error({{"h1", 4, 320}}), StartsWith(path_.string() + ": HDF5 cannot open taps/h1/frames: "));
  EXPECT_EQ(error({{"h0", 4, 640}}),
            path_.string() + " \"/taps/h0\": expected a frame every 640 samples, found one every 320");
}

// Through the mapping it would be a bus error.
TEST_F(DamagedShard, ThatCannotBeReadIsAnErrorWhenItIsVerified) {
  const ShardReader shard = open();
  fs::resize_file(path_, 100);
  EXPECT_THAT(error_of<FileError>([&] { shard.verify(); }),
              StartsWith(path_.string() + ": cannot read: it ends at byte "));
  write_shard(path_, kTaps, StoredType::kFloat32, {utterance("a", kTaps, {5}), utterance("b", kTaps, {3})}, {});
  EXPECT_THAT(error_of<FileError>([&] { shard.verify(); }),
              StartsWith(path_.string() + ": another file was put in its place while it was read"));
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
  EXPECT_EQ(error(), path_.string() +
                         " \"taps/h0/frames\": expected float32, contiguous or in chunks of whole frames by shuffle "
                         "and deflate or blosc");
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

/// How a shard is stored.
struct Form {
  StoredType type;
  Compression compression;
  std::string name() const { return hdf5::name_of(type) + "_" + hdf5::name_of(compression); }
};

/// Damage to shards of every form: with seeds, so that a failure can be repeated.
class MutatedShard : public testing::TestWithParam<Form> {
 protected:
  MutatedShard() : folder_(fresh_folder()), path_(folder_ / "shard-00000.h5") {
    for (std::size_t u = 0; u < 3; ++u) {
      utterances_.push_back(utterance(std::string(1, static_cast<char>('a' + u)), kWide,
                                      {40 + 5 * static_cast<std::int64_t>(u), 7}, type()));
    }
    write_shard(path_, kWide, type(), utterances_, {}, GetParam().compression);
    whole_ = read_file(path_);
  }

  StoredType type() const { return GetParam().type; }

  /// True if what is read is what was written.
  bool is_right(const ShardReader& shard) const {
    for (std::size_t u = 0; u < utterances_.size(); ++u) {
      for (std::size_t t = 0; t < kWide.size(); ++t) {
        if (!shard.read(t, u).equal(as_read(utterances_[u].features[t], type()))) return false;
      }
    }
    return true;
  }

  /// Opens and reads what may be damaged; nothing but a DataError may come of it.
  enum class Outcome { kRefused, kNamed, kRight, kWrong };
  Outcome outcome() const {
    try {
      const ShardReader shard(path_, kWide, type());
      if (!shard.verify().empty()) return Outcome::kNamed;
      return is_right(shard) ? Outcome::kRight : Outcome::kWrong;
    } catch (const DataError&) {
      return Outcome::kRefused;
    }
  }

  void put(const std::string& content) const { std::ofstream(path_, std::ios::binary) << content; }

  /// A sidecar by which the tables have their checksum.
  void seal(const std::string& content) const {
    write_file_atomically(sidecar_path(path_),
                          Json{{"size_bytes", content.size()},
                               {"checksum", fmt::format("{:016x}", xxh3(std::as_bytes(std::span(content))))},
                               {"frame_data", Json::array()},
                               {"failed", Json::array()}}
                              .dump());
  }

  static inline const std::vector<Tap> kWide = {{"h0", 8, 320}, {"h1", 3, 640}};
  const fs::path folder_, path_;
  std::vector<ShardUtterance> utterances_;
  std::string whole_;
};

INSTANTIATE_TEST_SUITE_P(Forms, MutatedShard,
                         testing::Values(Form{StoredType::kFloat16, Compression::kNone},
                                         Form{StoredType::kInt8, Compression::kNone},
                                         Form{StoredType::kFloat32, Compression::kDeflate},
                                         Form{StoredType::kInt8, Compression::kDeflate},
                                         Form{StoredType::kFloat16, Compression::kBlosc}),
                         [](const auto& info) { return info.param.name(); });

TEST_P(MutatedShard, IsFoundWhicheverBitChanges) {
  const Json sidecar = read_json(sidecar_path(path_));
  RandomStream random({11, whole_.size()});
  std::vector<std::size_t> bytes;  // of the frames, and any
  for (const Json& range : sidecar.at("frame_data")) {
    for (std::size_t byte = range[0]; byte < range[0].get<std::size_t>() + range[1].get<std::size_t>(); ++byte)
      bytes.push_back(byte);
  }
  if (bytes.size() > 700) random.shuffle(bytes);
  bytes.resize(std::min<std::size_t>(bytes.size(), 700));
  for (int i = 0; i < 100; ++i) bytes.push_back(random.below(whole_.size()));
  std::size_t harmless = 0;
  for (const std::size_t byte : bytes) {
    std::string content = whole_;
    content[byte] = static_cast<char>(content[byte] ^ (1 << random.below(8)));
    put(content);
    const Outcome found = outcome();
    ASSERT_NE(found, Outcome::kWrong) << byte;
    harmless += found == Outcome::kRight;
  }
  // Where a stream of deflate ends some bits mean nothing; more do in the headers of Blosc and zstd. A chunk here is a
  // whole tap.
  const std::size_t without_meaning[] = {0, 2 * kWide.size(), 15 * kWide.size()};
  EXPECT_LE(harmless, without_meaning[static_cast<std::size_t>(GetParam().compression)]);
}

TEST_P(MutatedShard, NeverReadsWrongFramesAfterManyChanges) {
  RandomStream random({12, whole_.size()});
  for (int round = 0; round < 150; ++round) {
    std::string content = whole_;
    for (std::size_t n = 1 + random.below(8); n > 0; --n) {
      content[random.below(content.size())] = static_cast<char>(random.below(256));
    }
    if (round % 5 == 0) content.resize(random.below(content.size()));
    put(content);
    ASSERT_NE(outcome(), Outcome::kWrong) << round;
  }
}

// Here somebody made the sidecar fit, so that the frames' checksums alone stand between the bytes and the reader.
TEST_P(MutatedShard, NeverReadsWrongFramesThoughItsSidecarFits) {
  const ShardReader shard(path_, kWide, type());
  RandomStream random({13, whole_.size()});
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;
  const Json sidecar = read_json(sidecar_path(path_));
  for (const Json& range : sidecar.at("frame_data")) ranges.push_back({range[0], range[1]});
  EXPECT_EQ(ranges.size(), type() == StoredType::kInt8 ? 4u : 2u);
  for (int round = 0; round < 150; ++round) {
    std::string content = whole_;
    for (std::size_t n = 1 + random.below(4); n > 0; --n) {
      const auto [offset, length] = ranges[random.below(ranges.size())];
      content[static_cast<std::size_t>(offset) + random.below(static_cast<std::size_t>(length))] =
          static_cast<char>(random.below(256));
    }
    put(content);
    seal(content);
    ASSERT_NE(outcome(), Outcome::kWrong) << round;
  }
}

/// Replaces the only place where `number` stands in `width` bytes, if there is one.
void replace_number(std::string& content, std::uint64_t number, std::uint64_t by, std::size_t width) {
  const std::string before(reinterpret_cast<const char*>(&number), width),
      after(reinterpret_cast<const char*>(&by), width);
  const std::size_t at = content.find(before);
  ASSERT_NE(at, std::string::npos) << number;
  content.replace(at, width, after);
}

/// Compressed shards whose table of chunks lies.
class HostileChunks : public MutatedShard {};

INSTANTIATE_TEST_SUITE_P(Forms, HostileChunks,
                         testing::Values(Form{StoredType::kFloat32, Compression::kDeflate},
                                         Form{StoredType::kInt8, Compression::kDeflate},
                                         Form{StoredType::kFloat16, Compression::kBlosc}),
                         [](const auto& info) { return info.param.name(); });

TEST_P(HostileChunks, MayNotPointOutsideTheFile) {
  const hdf5::ChunkPlace chunk = ShardReader(path_, kWide, type()).tap(0).frames.chunks.at(0);
  const auto offset = static_cast<std::uint64_t>(chunk.offset_bytes);
  for (const std::uint64_t place : {std::uint64_t{whole_.size()}, std::uint64_t{whole_.size() - 1}, ~std::uint64_t{0},
                                    ~std::uint64_t{0} - 7, std::uint64_t{1} << 62}) {
    std::string content = whole_;
    replace_number(content, offset, place, 8);
    put(content);
    seal(content);
    EXPECT_EQ(outcome(), Outcome::kRefused) << place;
  }
}

TEST_P(HostileChunks, MayNotPromiseMoreThanTheyGive) {
  const hdf5::Extent frames = ShardReader(path_, kWide, type()).tap(0).frames;
  // In the key of the chunks' tree: bytes of the chunk, mask of skipped filters, first row, first column.
  const auto key = [](std::uint32_t size, std::uint32_t skipped) { return (std::uint64_t{skipped} << 32) | size; };
  const auto size = static_cast<std::uint32_t>(frames.chunks.at(0).size_bytes);
  struct Case {
    std::uint64_t key;
    Outcome outcome;
  };
  // Longer than the file, empty, cut short, too long, and with filters left out.
  for (const Case& c : {Case{key(~0u, 0), Outcome::kRefused}, Case{key(0, 0), Outcome::kRefused},
                        Case{key(size - 1, 0), Outcome::kNamed}, Case{key(size + 1, 0), Outcome::kNamed},
                        Case{key(size, 1), Outcome::kRefused}, Case{key(size, 3), Outcome::kRefused}}) {
    std::string content = whole_;
    replace_number(content, key(size, 0), c.key, 8);
    put(content);
    seal(content);
    EXPECT_EQ(outcome(), c.outcome) << c.key;
  }
}

TEST_F(HostileShard, MayNotInflateWithoutBound) {
  const auto chunked = [](hid_t file, hsize_t rows, hsize_t chunk_rows, bool shuffled, hsize_t chunks_written) {
    H5Ldelete(file, "/taps/h0/frames", H5P_DEFAULT);
    const hsize_t shape[2] = {rows, 4}, chunk[2] = {chunk_rows, 4};
    const hid_t space = H5Screate_simple(2, shape, nullptr), creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 2, chunk);
    if (shuffled) H5Pset_shuffle(creation);
    H5Pset_deflate(creation, 9);
    const hid_t set = H5Dcreate2(file, "/taps/h0/frames", H5T_IEEE_F32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    const std::string nothing(12, '\0');
    for (hsize_t c = 0; c < chunks_written; ++c) {
      const hsize_t first[2] = {c * chunk_rows, 0};
      EXPECT_GE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, first, nothing.size(), nothing.data()), 0);
    }
    H5Dclose(set);
    H5Pclose(creation);
    H5Sclose(space);
  };
  const std::string place = path_.string() + " \"taps/h0/frames\": ";
  // A terabyte in one chunk, or in chunks that are not there, or in more chunks than are looked at.
  change_file([&](hid_t file) { chunked(file, hsize_t{1} << 27, hsize_t{1} << 27, true, 1); });
  EXPECT_EQ(error(), path_.string() + " \"/taps/h0\": its tables point outside its frames");
  change_file([&](hid_t file) { chunked(file, hsize_t{1} << 40, 1024, true, 3); });
  EXPECT_EQ(error(), place + "it has 3 chunks, expected 1073741824 and at most 16384");
  change_file([&](hid_t file) { chunked(file, 40000, 1, true, 20000); });
  EXPECT_EQ(error(), place + "it has 20000 chunks, expected 40000 and at most 16384");
  change_file([&](hid_t file) { chunked(file, 8, 8, true, 0); });
  EXPECT_EQ(error(), place + "it has 0 chunks, expected 1 and at most 16384");
  change_file([&](hid_t file) { chunked(file, 8, 8, false, 1); });
  EXPECT_EQ(error(),
            place + "expected float32, contiguous or in chunks of whole frames by shuffle and deflate or blosc");
  // Within bounds, but no stream of deflate: it is opened, and each utterance is damaged.
  change_file([&](hid_t file) { chunked(file, 8, 8, true, 1); });
  EXPECT_THAT(open().verify(), ElementsAre("a", "b"));
  EXPECT_EQ(error_of<DataError>([&] { open().read(0, 1); }),
            path_.string() +
                ": utterance \"b\": a chunk of 12 bytes does not inflate to 128 bytes; the file is damaged. "
                "`strata verify --repair` removes it, `strata extract` fills the hole");
}

TEST_F(HostileShard, MayNotHaveScalesOfAnotherKind) {
  const auto int8 = StoredType::kInt8;
  write_shard(path_, kTaps, int8, {utterance("a", kTaps, {5}, int8), utterance("b", kTaps, {3}, int8)}, {});
  const std::string place = path_.string() + " \"taps/h0/scale\": expected a contiguous list of float32";
  change_file([](hid_t file) { replace(file, "/taps/h0/scale", H5T_STD_I32LE, {8}); });
  EXPECT_EQ(error(kTaps, int8), place);
  change_file([](hid_t file) { replace(file, "/taps/h0/scale", H5T_IEEE_F32LE, {8, 1}); });
  EXPECT_EQ(error(kTaps, int8), place);
  change_file([](hid_t file) { replace(file, "/taps/h0/scale", H5T_IEEE_F32LE, {8}, /*chunked=*/true); });
  EXPECT_EQ(error(kTaps, int8), place);
  change_file([](hid_t file) { replace(file, "/taps/h0/scale", H5T_IEEE_F32LE, {8}); });
  EXPECT_EQ(error(kTaps, int8), path_.string() + " \"taps/h0/scale\": HDF5 does not tell where the data are");
  change_file([](hid_t file) {
    replace(file, "/taps/h0/scale", H5T_IEEE_F32LE, {7});
    const hid_t set = H5Dopen2(file, "/taps/h0/scale", H5P_DEFAULT);
    const std::vector<float> ones(7, 1);
    H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, ones.data());
    H5Dclose(set);
  });
  EXPECT_EQ(error(kTaps, int8), path_.string() + " \"/taps/h0\": its tables point outside its frames");
  change_file([](hid_t file) { H5Ldelete(file, "/taps/h0/scale", H5P_DEFAULT); });
  EXPECT_THAT(error(kTaps, int8), StartsWith(path_.string() + ": HDF5 cannot open taps/h0/scale: "));
}

}  // namespace
}  // namespace strata
