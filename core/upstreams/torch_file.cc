#include "core/upstreams/torch_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/base/error.h"
#include "core/upstreams/pickle.h"
#include "core/upstreams/zip_file.h"

namespace strata {
namespace {

struct StorageType {
  const char* name;
  at::ScalarType dtype;
};
constexpr StorageType kStorageTypes[] = {{"FloatStorage", at::kFloat}, {"DoubleStorage", at::kDouble},
                                         {"HalfStorage", at::kHalf},   {"BFloat16Storage", at::kBFloat16},
                                         {"LongStorage", at::kLong},   {"IntStorage", at::kInt},
                                         {"ShortStorage", at::kShort}, {"CharStorage", at::kChar},
                                         {"ByteStorage", at::kByte},   {"BoolStorage", at::kBool}};

/// Answers what the pickle of one archive asks for.
class Rebuilder {
 public:
  explicit Rebuilder(const fs::path& path) : path_(path), zip_(path) {
    const std::string suffix = "/data.pkl";
    for (const auto& [name, content] : zip_.members()) {
      if (name.ends_with(suffix)) root_ = name.substr(0, name.size() - suffix.size() + 1);
    }
    if (root_.empty()) fail("it has no member data.pkl");
    const auto order = zip_.members().find(root_ + "byteorder");
    if (order != zip_.members().end() && order->second != "little")
      fail(fmt::format("its byte order is {}", order->second));
  }

  pickle::Value run() {
    const pickle::Hooks hooks{
        [this](const pickle::Value& id) { return storage(id); },
        [this](const pickle::Global& callee, const pickle::List& arguments) { return call(callee, arguments); }};
    return pickle::load(zip_.members().at(root_ + "data.pkl"), path_.string(), hooks, arena_);
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw DataError(fmt::format("{}: cannot be read as weights: {}", path_.string(), message));
  }

 private:
  template <class T>
  const T& argument(const pickle::List& arguments, std::size_t index, const char* what) const {
    const T* found = index < arguments.size() ? arguments[index].as<T>() : nullptr;
    if (!found) fail(fmt::format("{} is missing or of another kind", what));
    return *found;
  }

  // ("storage", type, key, device, elements) -> its elements as a vector.
  pickle::Value storage(const pickle::Value& id) const {
    const auto* tuple = id.as<pickle::Tuple>();
    if (!tuple || tuple->items->empty() || argument<std::string>(*tuple->items, 0, "a storage's tag") != "storage")
      fail("a reference to something other than a storage");
    const pickle::List& items = *tuple->items;
    const auto& type = argument<pickle::Global>(items, 1, "a storage's type");
    const auto& key = argument<std::string>(items, 2, "a storage's key");
    const std::int64_t elements = argument<std::int64_t>(items, 4, "a storage's size");
    const auto* known = std::find_if(std::begin(kStorageTypes), std::end(kStorageTypes),
                                     [&](const StorageType& t) { return type.name == t.name; });
    if (type.module != "torch" || known == std::end(kStorageTypes))
      fail(fmt::format("storages of type {}.{} are not known", type.module, type.name));
    const auto member = zip_.members().find(root_ + "data/" + key);
    if (member == zip_.members().end()) fail(fmt::format("storage {} is missing", key));
    const std::string_view content = member->second;
    const std::uint64_t width = c10::elementSize(known->dtype);
    if (elements < 0 || static_cast<std::uint64_t>(elements) > content.size() / width) {
      fail(fmt::format("storage {} has {} bytes, fewer than its {} elements", key, content.size(), elements));
    }
    return {vector(content, elements, known->dtype)};
  }

  at::Tensor vector(std::string_view content, std::int64_t elements, at::ScalarType dtype) const {
    if (reinterpret_cast<std::uintptr_t>(content.data()) % c10::elementSize(dtype) == 0) {
      return at::from_blob(
          const_cast<char*>(content.data()), {elements}, [map = zip_.map()](void*) {},
          at::TensorOptions().dtype(dtype));
    }
    at::Tensor copy = at::empty({elements}, at::TensorOptions().dtype(dtype));
    std::memcpy(copy.mutable_data_ptr(), content.data(), copy.nbytes());
    return copy;
  }

  pickle::Value call(const pickle::Global& callee, const pickle::List& arguments) {
    const std::string name = callee.module + "." + callee.name;
    if (name == "torch._utils._rebuild_tensor_v2") return {tensor(arguments)};
    if (name == "torch._utils._rebuild_parameter") return {argument<at::Tensor>(arguments, 0, "a parameter's tensor")};
    if (name == "collections.OrderedDict" && arguments.empty()) return {pickle::Dict{&arena_.dicts.emplace_back()}};
    fail(fmt::format("its pickle wants to call {}, which is refused", name));
  }

  std::vector<std::int64_t> integers(const pickle::List& arguments, std::size_t index, const char* what) const {
    std::vector<std::int64_t> values;
    const pickle::List& items = *argument<pickle::Tuple>(arguments, index, what).items;
    for (std::size_t i = 0; i < items.size(); ++i) values.push_back(argument<std::int64_t>(items, i, what));
    return values;
  }

  // (storage, offset, size, stride, ..) -> a view, once it is sure to stay inside the storage.
  at::Tensor tensor(const pickle::List& arguments) const {
    const at::Tensor& elements = argument<at::Tensor>(arguments, 0, "a tensor's storage");
    const std::int64_t offset = argument<std::int64_t>(arguments, 1, "a tensor's offset");
    const std::vector<std::int64_t> size = integers(arguments, 2, "a tensor's size"),
                                    stride = integers(arguments, 3, "a tensor's stride");
    std::int64_t last = offset;
    bool fits = offset >= 0 && size.size() == stride.size(), empty = false;
    for (std::size_t i = 0; fits && i < size.size(); ++i) {
      std::int64_t reach = 0;
      empty = empty || size[i] == 0;
      fits = size[i] >= 0 && stride[i] >= 0 &&
             !__builtin_mul_overflow(std::max<std::int64_t>(size[i] - 1, 0), stride[i], &reach) &&
             !__builtin_add_overflow(last, reach, &last);
    }
    if (!fits || (!empty && last >= elements.numel())) {
      fail(fmt::format("a tensor of size {} and stride {} at {} does not fit its storage of {} elements", size, stride,
                       offset, elements.numel()));
    }
    return empty ? at::empty(size, elements.options()) : elements.as_strided(size, stride, offset);
  }

  fs::path path_;
  ZipFile zip_;
  pickle::Arena arena_;
  std::string root_;  // folder inside the archive, with its slash
};

}  // namespace

NamedTensors read_torch_file(const fs::path& path) {
  if (!ZipFile::looks_like_one(path)) {
    throw DataError(fmt::format(
        "{}: not a zip archive; files that torch before 1.6 saved are not read: load and save it with a newer "
        "torch, or as safetensors",
        path.string()));
  }
  Rebuilder rebuilder(path);
  const pickle::Value value = rebuilder.run();
  const auto* dict = value.as<pickle::Dict>();
  if (!dict) rebuilder.fail("it holds no dictionary of tensors");
  NamedTensors tensors;
  for (const auto& [key, item] : *dict->items) {
    const auto* name = key.as<std::string>();
    const auto* tensor = item.as<at::Tensor>();
    if (!name || !tensor) rebuilder.fail(fmt::format("entry {} is no tensor", name ? *name : "without a name"));
    tensors[*name] = *tensor;
  }
  return tensors;
}

}  // namespace strata
