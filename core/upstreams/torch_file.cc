#include "core/upstreams/torch_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "core/base/error.h"
#include "core/base/file.h"
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

constexpr std::size_t kMostAxes = 64;  // more is no tensor that torch computes with

// How a file of torch before 1.6 begins: the pickles of a magic number and of the form's number, 1001.
constexpr std::string_view kLegacyStart("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.", 21);

}  // namespace

/// Answers what the pickle of one file asks for.
class TorchFile::Rebuilder {
 public:
  Rebuilder(const fs::path& path, Unknown unknown) : path_(path), unknown_(unknown) {
    if (ZipFile::looks_like_one(path)) {
      open_zip();
    } else {
      open_legacy();
    }
  }

  pickle::Value run() { return load(pickle_, hooks()); }

  [[noreturn]] void fail(const std::string& message) const {
    throw DataError(fmt::format("{}: cannot be read as weights: {}", path_.string(), message));
  }

  std::size_t file_bytes() const { return map_->size_bytes(); }

 private:
  pickle::Hooks hooks() {
    return {[this](const pickle::Value& id) { return storage(id); },
            [this](const pickle::Global& callee, const pickle::List* arguments) { return call(callee, arguments); }};
  }

  pickle::Value load(std::string_view bytes, const pickle::Hooks& hooks, std::size_t* length = nullptr) {
    return pickle::load(bytes, path_.string(), hooks, arena_, length);
  }

  void open_zip() {
    const ZipFile zip(path_);
    map_ = zip.map();
    const std::string suffix = "/data.pkl";
    std::string root;  // folder inside the archive, with its slash
    for (const auto& [name, content] : zip.members()) {
      if (name.ends_with(suffix)) root = name.substr(0, name.size() - suffix.size() + 1);
    }
    if (root.empty()) fail("it has no member data.pkl");
    const auto order = zip.members().find(root + "byteorder");
    if (order != zip.members().end() && order->second != "little")
      fail(fmt::format("its byte order is {}", printable(order->second)));
    pickle_ = zip.members().at(root + "data.pkl");
    for (const auto& [name, content] : zip.members()) {
      if (name.starts_with(root + "data/")) contents_.emplace(name.substr(root.size() + 5), content);
    }
  }

  // Pickles of the magic number, the form, the writer's system, what was saved, and the storages' keys; then for each
  // key its number of elements (int64) and the elements.
  void open_legacy() {
    map_ = std::make_shared<MappedFile>(path_);
    std::string_view rest(map_->data(), map_->size_bytes());
    if (!rest.starts_with(kLegacyStart)) fail("it is neither a zip archive nor what torch before 1.6 wrote");
    rest.remove_prefix(kLegacyStart.size());
    const pickle::Hooks nothing{[](const pickle::Value&) { return pickle::Value{}; },
                                [this](const pickle::Global& callee, const pickle::List* arguments) {
                                  return pickle::Value{pickle::Object{&arena_.objects.emplace_back(callee, arguments)}};
                                }};
    const auto pass = [&](const pickle::Hooks& hooks) {
      std::size_t length = 0;
      const pickle::Value value = load(rest, hooks, &length);
      pickle_ = rest.substr(0, length);
      rest.remove_prefix(length);
      return value;
    };
    const pickle::Value system = pass(nothing);
    check_byte_order(system);
    std::map<std::string, std::uint64_t, std::less<>> widths;  // of the storages' elements
    pass({[&](const pickle::Value& id) {
            const StorageId found = parse(id);
            widths.emplace(found.key, c10::elementSize(found.dtype));
            return pickle::Value{};
          },
          nothing.call});
    const std::string_view saved = pickle_;
    const pickle::Value keys = pass(nothing);
    pickle_ = saved;
    const auto* list = keys.as<pickle::Array>();
    if (!list) fail("it has no list of storages");
    for (const pickle::Value& key : *list->items) {
      const auto* name = key.as<std::string_view>();
      const auto width = name ? widths.find(*name) : widths.end();
      std::int64_t elements = 0;
      if (width == widths.end() || rest.size() < sizeof elements)
        fail("its storages are damaged; is the file cut off?");
      std::memcpy(&elements, rest.data(), sizeof elements);
      rest.remove_prefix(sizeof elements);
      if (elements < 0 || static_cast<std::uint64_t>(elements) > rest.size() / width->second)
        fail(fmt::format("storage {} has {} elements; is the file cut off?", printable(*name), elements));
      contents_.emplace(*name, rest.substr(0, elements * width->second));
      rest.remove_prefix(elements * width->second);
    }
  }

  void check_byte_order(const pickle::Value& system) const {
    const auto* dict = system.as<pickle::Dict>();
    if (!dict) fail("it does not describe the system that wrote it");
    for (const auto& [key, value] : *dict->items) {
      const auto* name = key.as<std::string_view>();
      const bool* little = value.as<bool>();
      if (name && *name == "little_endian" && !(little && *little)) fail("its byte order is big");
    }
  }

  template <class T>
  const T& argument(const pickle::List& arguments, std::size_t index, const char* what) const {
    const T* found = index < arguments.size() ? arguments[index].as<T>() : nullptr;
    if (!found) fail(fmt::format("{} is missing or of another kind", what));
    return *found;
  }

  struct StorageId {
    std::string_view key;
    at::ScalarType dtype;
    std::int64_t elements;
  };

  // ("storage", type, key, device, elements[, view]).
  StorageId parse(const pickle::Value& id) const {
    const auto* tuple = id.as<pickle::Tuple>();
    if (!tuple || argument<std::string_view>(*tuple->items, 0, "a storage's tag") != "storage")
      fail("a reference to something other than a storage");
    const pickle::List& items = *tuple->items;
    const auto& type = argument<pickle::Global>(items, 1, "a storage's type");
    const auto* known = std::find_if(std::begin(kStorageTypes), std::end(kStorageTypes),
                                     [&](const StorageType& t) { return type.name == t.name; });
    if (type.module != "torch" || known == std::end(kStorageTypes))
      fail(fmt::format("storages of type {}.{} are not known", printable(type.module), printable(type.name)));
    if (items.size() > 5 && !items[5].as<pickle::None>()) fail("a view of a storage, which torch before 0.4 wrote");
    return {argument<std::string_view>(items, 2, "a storage's key"), known->dtype,
            argument<std::int64_t>(items, 4, "a storage's size")};
  }

  // Its elements as a vector, made once: tensors may share a storage.
  pickle::Value storage(const pickle::Value& id) {
    const StorageId wanted = parse(id);
    const auto content = contents_.find(wanted.key);
    if (content == contents_.end()) fail(fmt::format("storage {} is missing", printable(wanted.key)));
    const std::uint64_t width = c10::elementSize(wanted.dtype), bytes = content->second.size();
    if (wanted.elements < 0 || static_cast<std::uint64_t>(wanted.elements) > bytes / width) {
      fail(fmt::format("storage {} has {} bytes, fewer than its {} elements", printable(wanted.key), bytes,
                       wanted.elements));
    }
    auto& made = storages_[wanted.key];
    if (!made.defined()) made = vector(content->second, bytes / width, wanted.dtype);
    if (made.scalar_type() != wanted.dtype) fail(fmt::format("storage {} has two types", printable(wanted.key)));
    return {made.narrow(0, 0, wanted.elements)};
  }

  at::Tensor vector(std::string_view content, std::int64_t elements, at::ScalarType dtype) const {
    if (reinterpret_cast<std::uintptr_t>(content.data()) % c10::elementSize(dtype) == 0) {
      return at::from_blob(
          const_cast<char*>(content.data()), {elements}, [map = map_](void*) {}, at::TensorOptions().dtype(dtype));
    }
    at::Tensor copy = at::empty({elements}, at::TensorOptions().dtype(dtype));
    std::memcpy(copy.mutable_data_ptr(), content.data(), copy.nbytes());
    return copy;
  }

  pickle::Value call(const pickle::Global& callee, const pickle::List* arguments) {
    const auto is = [&](std::string_view module, std::string_view name) {
      return callee.module == module && callee.name == name;
    };
    if (is("torch._utils", "_rebuild_tensor_v2")) return {tensor(*arguments)};
    if (is("torch._utils", "_rebuild_parameter")) return {argument<at::Tensor>(*arguments, 0, "a parameter's tensor")};
    if (is("collections", "OrderedDict") && arguments->empty()) return {pickle::Dict{&arena_.dicts.emplace_back()}};
    if (unknown_ == Unknown::kOpaque) return {pickle::Object{&arena_.objects.emplace_back(callee, arguments)}};
    fail(fmt::format("its pickle wants to call {}.{}, which is refused", printable(callee.module),
                     printable(callee.name)));
  }

  std::vector<std::int64_t> integers(const pickle::List& arguments, std::size_t index, const char* what) const {
    std::vector<std::int64_t> values;
    const pickle::List& items = *argument<pickle::Tuple>(arguments, index, what).items;
    if (items.size() > kMostAxes) fail(fmt::format("{} has {} axes", what, items.size()));
    for (std::size_t i = 0; i < items.size(); ++i) values.push_back(argument<std::int64_t>(items, i, what));
    return values;
  }

  // (storage, offset, size, stride, ..) -> a view, once it is sure to stay inside the storage and not to repeat itself:
  // a stride of 0 would make terabytes of one element.
  at::Tensor tensor(const pickle::List& arguments) const {
    const at::Tensor& elements = argument<at::Tensor>(arguments, 0, "a tensor's storage");
    const std::int64_t offset = argument<std::int64_t>(arguments, 1, "a tensor's offset");
    const std::vector<std::int64_t> size = integers(arguments, 2, "a tensor's size"),
                                    stride = integers(arguments, 3, "a tensor's stride");
    std::int64_t last = offset, count = 1;
    bool fits = offset >= 0 && size.size() == stride.size(), empty = false;
    for (std::size_t i = 0; fits && i < size.size(); ++i) {
      std::int64_t reach = 0;
      empty = empty || size[i] == 0;
      fits = size[i] >= 0 && stride[i] >= 0 &&
             !__builtin_mul_overflow(count, std::max<std::int64_t>(size[i], 1), &count) &&
             !__builtin_mul_overflow(std::max<std::int64_t>(size[i] - 1, 0), stride[i], &reach) &&
             !__builtin_add_overflow(last, reach, &last);
    }
    if (!fits || (!empty && (last >= elements.numel() || count > elements.numel()))) {
      fail(fmt::format("a tensor of size {} and stride {} at {} does not fit its storage of {} elements", size, stride,
                       offset, elements.numel()));
    }
    return empty ? at::empty(size, elements.options()) : elements.as_strided(size, stride, offset);
  }

  fs::path path_;
  Unknown unknown_;
  std::shared_ptr<MappedFile> map_;
  std::string_view pickle_;                                        // the one that builds what was saved
  std::map<std::string, std::string_view, std::less<>> contents_;  // of the storages, by key
  std::map<std::string_view, at::Tensor> storages_;                // those made so far
  pickle::Arena arena_;
};

TorchFile::TorchFile(const fs::path& path, Unknown unknown)
    : rebuilder_(std::make_unique<Rebuilder>(path, unknown)), root_(rebuilder_->run()) {}

TorchFile::~TorchFile() = default;

const pickle::Value& TorchFile::root() const { return root_; }

NamedTensors TorchFile::state_dict(const pickle::Value& value, const std::vector<std::string>& skipped) const {
  const auto* dict = value.as<pickle::Dict>();
  if (!dict) rebuilder_->fail("it holds no dictionary of tensors");
  NamedTensors tensors;
  std::uint64_t bytes = 0;
  for (const auto& [key, item] : *dict->items) {
    const auto* name = key.as<std::string_view>();
    const auto* tensor = item.as<at::Tensor>();
    if (name && std::find(skipped.begin(), skipped.end(), *name) != skipped.end()) continue;
    if (!name || !tensor)
      rebuilder_->fail(fmt::format("entry {} is no tensor", name ? printable(*name) : "without a name"));
    tensors[std::string(*name)] = *tensor;
    bytes += tensor->nbytes();
  }
  // Otherwise a small file could ask for any amount of memory when its weights are cast or folded.
  if (bytes > rebuilder_->file_bytes())
    rebuilder_->fail(fmt::format("its tensors take {} bytes, more than the file has: they overlap", bytes));
  return tensors;
}

NamedTensors read_torch_file(const fs::path& path) {
  const TorchFile file(path, TorchFile::Unknown::kRefused);
  return file.state_dict(file.root());
}

}  // namespace strata
