#include "core/tensor/safetensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <tuple>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/config/json.h"

namespace strata {
namespace {

constexpr std::size_t kMostAxes = 64;                 // more is no tensor that torch computes with
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // as in the reference implementation

struct Dtype {
  const char* name;
  at::ScalarType type;
};
constexpr Dtype kDtypes[] = {{"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16},
                             {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
                             {"U8", at::kByte},    {"BOOL", at::kBool}};

[[noreturn]] void fail(const fs::path& path, const std::string& message) {
  throw DataError(fmt::format("{}: not a valid safetensors file: {}", path.string(), message));
}

Json read_header(const MappedFile& file, const fs::path& path, std::size_t* data_start) {
  std::uint64_t length = 0;
  if (file.size_bytes() < sizeof length) fail(path, fmt::format("it has only {} bytes", file.size_bytes()));
  std::memcpy(&length, file.data(), sizeof length);
  if (length > kMaxHeaderBytes || length > file.size_bytes() - sizeof length) {
    fail(path, fmt::format("its header of {} bytes does not fit into {} bytes; is it cut off, or a Git LFS pointer?", length, file.size_bytes()));
  }
  *data_start = sizeof length + length;
  const char* begin = file.data() + sizeof length;
  if (nesting_of({begin, length}) > kDeepestJson) fail(path, "its header is nested without end");
  Json header = Json::parse(begin, begin + length, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) fail(path, "its header is not a JSON object");
  return header;
}

at::Tensor view_tensor(const std::shared_ptr<MappedFile>& file, const fs::path& path, std::size_t data_start,
                       const std::string& name, const Json& entry) {
  try {
    const std::string dtype = entry.at("dtype");
    for (const auto& [key, what] : {std::pair{"shape", "impossible shape"}, {"data_offsets", "bytes that are no positions"}}) {
      for (const Json& number : entry.at(key)) {
        if (!number.is_number_unsigned()) fail(path, fmt::format("tensor {}: {} {}", printable(name), what, shown(entry.at(key))));
      }
    }
    if (entry.at("shape").size() > kMostAxes) fail(path, fmt::format("tensor {}: it has {} axes", printable(name), entry.at("shape").size()));
    const auto* known = std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const Dtype& d) { return dtype == d.name; });
    if (known == std::end(kDtypes)) fail(path, fmt::format("tensor {}: unsupported dtype {}", printable(name), printable(dtype)));
    const auto shape = entry.at("shape").get<std::vector<std::int64_t>>();
    const auto offsets = entry.at("data_offsets").get<std::vector<std::uint64_t>>();
    std::int64_t bytes_without_zeros = static_cast<std::int64_t>(c10::elementSize(known->type));  // strides, too, must fit
    std::uint64_t bytes = c10::elementSize(known->type);
    for (const std::int64_t size : shape) {
      if (size < 0 || __builtin_mul_overflow(bytes_without_zeros, std::max<std::int64_t>(size, 1), &bytes_without_zeros)) {
        fail(path, fmt::format("tensor {}: impossible shape {}", printable(name), shape));
      }
      bytes *= static_cast<std::uint64_t>(size);
    }
    const std::uint64_t available = file->size_bytes() - data_start;
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > available || offsets[1] - offsets[0] != bytes) {
      fail(path, fmt::format("tensor {}: bytes {} do not fit shape {} {} in {} bytes of data", printable(name), offsets, shape, dtype, available));
    }
    void* data = const_cast<char*>(file->data() + data_start + offsets[0]);
    const auto options = at::TensorOptions().dtype(known->type);
    at::Tensor view = at::from_blob(data, shape, [file](void*) {}, options);
    const bool aligned = reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(known->type) == 0;
    if (aligned) return view;
    at::Tensor copy = at::empty(shape, options);
    std::memcpy(copy.mutable_data_ptr(), data, bytes);
    return copy;
  } catch (const Json::exception& e) {
    fail(path, fmt::format("tensor {}: {}", printable(name), printable(e.what())));
  }
}

/// Two tensors in the same bytes are no file that a writer means.
void check_overlaps(const fs::path& path, const Json& header) {
  std::vector<std::tuple<std::uint64_t, std::uint64_t, std::string>> ranges;
  for (const auto& [name, entry] : header.items()) {
    if (name != "__metadata__") ranges.emplace_back(entry.at("data_offsets").at(0), entry.at("data_offsets").at(1), name);
  }
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (std::get<0>(ranges[i]) < std::get<1>(ranges[i - 1])) {
      fail(path, fmt::format("tensors {} and {} overlap", printable(std::get<2>(ranges[i - 1])), printable(std::get<2>(ranges[i]))));
    }
  }
}

}  // namespace

NamedTensors read_safetensors(const fs::path& path, std::map<std::string, std::string>* metadata) {
  const auto file = std::make_shared<MappedFile>(path);
  std::size_t data_start = 0;
  const Json header = read_header(*file, path, &data_start);
  NamedTensors tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name != "__metadata__") {
      tensors[name] = view_tensor(file, path, data_start, name, entry);
    } else if (metadata != nullptr) {
      for (const auto& [key, value] : entry.items()) (*metadata)[key] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
  check_overlaps(path, header);
  return tensors;
}

void write_safetensors(const fs::path& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor plain = tensor.detach().cpu().contiguous();
    const auto* known = std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const Dtype& d) { return plain.scalar_type() == d.type; });
    if (known == std::end(kDtypes)) throw InternalError(fmt::format("{}: tensor {} has a dtype that cannot be stored", path.string(), name));
    const std::size_t start = data.size();
    data.append(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
    header[name] = {{"dtype", known->name}, {"shape", plain.sizes().vec()}, {"data_offsets", {start, data.size()}}};
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  std::string content(reinterpret_cast<const char*>(&length), sizeof length);
  write_file_atomically(path, content + text + data);
}

}  // namespace strata
