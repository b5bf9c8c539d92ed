#include "tests/core/upstreams/fuzz.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/full.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>

#include "core/base/error.h"
#include "core/base/file.h"
#include "core/upstreams/upstream.h"
#include "tests/core/upstreams/mutator.h"

namespace strata {
namespace {

constexpr unsigned kSecondsPerCase = 20;
constexpr std::int64_t kFewSamples = 20000;  // models that need more for a frame are not run
constexpr std::size_t kLongestMessage = 4096;
// What opening a model may take: its file in memory, its weights in both precisions and packed, some of it twice; and
// what the allocator and the libraries take in pieces.
constexpr std::int64_t kCopies = 16, kSpareBytes = 32 << 20;

const fs::path kGolden = "tests/golden/upstreams";
const fs::path kFairseq = "tests/core/upstreams/fairseq";

char current_case[200];  // what the alarm prints

void give_up(int) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, current_case, std::strlen(current_case));
  ::_exit(1);
}

/// A model as files by name, read once.
using Files = std::map<std::string, std::string>;

const Files& files_of(const fs::path& folder) {
  static std::map<fs::path, Files> known;
  Files& files = known[folder];
  if (!files.empty()) return files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    const bool values = name == "inputs.safetensors" || name == "expected.safetensors" || name == "grads.safetensors" ||
                        name == "padded.safetensors";
    if (entry.is_regular_file() && !values) files[name] = read_file(entry.path());
  }
  return files;
}

const std::vector<std::string>& model_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(kGolden)) {
      if (entry.is_directory()) found.push_back(entry.path().filename());
    }
    std::sort(found.begin(), found.end());
    return found;
  }();
  return names;
}

Files any_model(Mutator& m) { return files_of(kGolden / model_names()[m.below(model_names().size())]); }

Files damaged_config(Mutator& m) {
  Files files = any_model(m);
  const bool other = files.contains("preprocessor_config.json") && m.below(6) == 0;
  std::string& text = files[other ? "preprocessor_config.json" : "config.json"];
  text = m.below(5) == 0 ? m.bytes(text) : m.json(text);
  return files;
}

// The header is JSON, which is changed as such, or bytes, the length before it included.
Files damaged_safetensors(Mutator& m) {
  Files files = any_model(m);
  std::string& content = files["model.safetensors"];
  std::uint64_t length = 0;
  std::memcpy(&length, content.data(), sizeof length);
  if (m.below(2) == 0) {
    content = m.bytes(content, 0, sizeof length + length);
    return files;
  }
  const std::string header = m.json(content.substr(sizeof length, length)),
                    data = content.substr(sizeof length + length);
  length = header.size();
  content = std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
  return files;
}

Files damaged_index(Mutator& m) {
  Files files = files_of(kGolden / "wav2vec2-group" / "variants" / "sharded");
  std::string& text = files["model.safetensors.index.json"];
  text = m.below(5) == 0 ? m.bytes(text) : m.json(text);
  return files;
}

// Structure is at both ends of an archive: the pickle comes first, the directory last.
std::string damaged_archive(Mutator& m, const std::string& content) {
  const std::size_t pickle = content.find("data.pkl"), end = std::min<std::size_t>(pickle + 12000, content.size());
  if (m.below(4) != 0) return m.bytes(content, pickle, end);
  return m.bytes(content, content.size() - std::min<std::size_t>(content.size(), 8000), content.size());
}

Files damaged_torch(Mutator& m) {
  Files files = files_of(kGolden / "wav2vec2-group" / "variants" / (m.below(2) ? "old-bin" : "for-ctc-bin"));
  std::string& content = files["pytorch_model.bin"];
  content = damaged_archive(m, content);
  return files;
}

// The opcodes of a pickle in any order, with operands that make sense often enough to get on.
std::string random_pickle(Mutator& m) {
  static const std::vector<std::string> words = {"(",
                                                 "N",
                                                 ".",
                                                 "K\x01",
                                                 "K\x02",
                                                 "J\xff\xff\xff\x7f",
                                                 "M\xff\xff",
                                                 "\x8a\x01\x05",
                                                 ")",
                                                 "]",
                                                 "}",
                                                 "t",
                                                 "s",
                                                 "u",
                                                 "a",
                                                 "e",
                                                 "R",
                                                 "\x81",
                                                 "b",
                                                 "Q",
                                                 "q\x01",
                                                 "h\x01",
                                                 "q\x02",
                                                 "h\x02",
                                                 "\x94",
                                                 "\x85",
                                                 "\x86",
                                                 "\x87",
                                                 "0",
                                                 "1",
                                                 "2",
                                                 "\x88",
                                                 "\x8f",
                                                 "\x90",
                                                 "\x91",
                                                 "X\x01\x01\x01\x01w",
                                                 "\x8c\x01w",
                                                 "\x8c\x07storage",
                                                 "\x8c\x01"
                                                 "0",
                                                 "ctorch\nFloatStorage\n",
                                                 "ctorch._utils\n_rebuild_tensor_v2\n",
                                                 "ctorch._utils\n_rebuild_parameter\n",
                                                 "ccollections\nOrderedDict\n",
                                                 "cargparse\nNamespace\n",
                                                 "\x8c\x05model",
                                                 "\x8c\x03"
                                                 "cfg",
                                                 "((\x8c\x07storagectorch\nFloatStorage\n\x8c\x01"
                                                 "0\x8c\x03"
                                                 "cpuK\x06tQ",
                                                 "K\x00K\x02K\x03\x86K\x03K\x01\x86"};
  std::string text = "\x80\x02";
  if (m.below(2)) text += "}";
  for (std::uint64_t i = m.below(200); i > 0; --i) text += words[m.below(words.size())];
  return text + ".";
}

Files random_opcodes(Mutator& m) {
  static const std::string whole = read_file(kGolden / "wav2vec2-group" / "variants" / "old-bin" / "pytorch_model.bin");
  Files files = files_of(kGolden / "wav2vec2-group" / "variants" / "old-bin");
  std::string pickle = random_pickle(m);
  // A stored member keeps its size: the new pickle takes the place of the old one's start, and ends before its end.
  std::string& content = files["pytorch_model.bin"];
  content = whole;
  const std::size_t at = content.find("\x80\x02", content.find("data.pkl"));
  content.replace(at, std::min(pickle.size(), content.size() - at), pickle);
  if (m.below(3)) return files;
  files["model.pt"] = content;
  return files;
}

Files damaged_fairseq(Mutator& m) {
  const Files& all = files_of(kFairseq);
  auto file = all.begin();
  std::advance(file, m.below(all.size()));
  const bool zip = file->second.starts_with("PK");
  return {{"model.pt", zip ? damaged_archive(m, file->second) : m.bytes(file->second, 0, 12000)}};
}

const std::map<std::string, std::function<Files(Mutator&)>>& campaigns() {
  static const std::map<std::string, std::function<Files(Mutator&)>> all = {
      {"config", damaged_config}, {"safetensors", damaged_safetensors}, {"index", damaged_index},
      {"torch", damaged_torch},   {"opcodes", random_opcodes},          {"fairseq", damaged_fairseq}};
  return all;
}

std::int64_t address_space_bytes() {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

/// While it lives, the process may have so many bytes of address space more; then as before.
class MemoryLimit {
 public:
  explicit MemoryLimit(std::int64_t bytes) {
    ::getrlimit(RLIMIT_AS, &before_);
    set(std::min<rlim_t>(before_.rlim_cur, static_cast<rlim_t>(address_space_bytes() + bytes)));
  }
  ~MemoryLimit() { set(before_.rlim_cur); }
  MemoryLimit(const MemoryLimit&) = delete;
  MemoryLimit& operator=(const MemoryLimit&) = delete;

 private:
  void set(rlim_t bytes) const {
    struct rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_AS, &limit);
  }
  struct rlimit before_ {};
};

std::unique_ptr<Upstream> open_model(const fs::path& path) {
  return open_upstream(path.string(), {}, FieldReader(Json::object(), "study.json", "/upstreams/a"));
}

/// As open_model, in memory for `bytes` of files.
std::unique_ptr<Upstream> open_in_little_memory(const fs::path& path, std::int64_t bytes) {
  const MemoryLimit limit(kSpareBytes + kCopies * bytes);
  return open_model(path);
}

/// Opens the model and computes its frames; true if that went well, false after an Error of the right form.
///   bytes  of its files
bool try_model(const fs::path& path, std::int64_t bytes) {
  try {
    const auto upstream = open_in_little_memory(path, bytes);
    const std::int64_t samples = upstream->minimum_samples();
    if (samples > kFewSamples) return true;
    for (const std::int64_t n : {samples, samples + 1000}) {
      upstream->forward(at::full({n}, 0.1F), {upstream->default_taps().size() - 1});
    }
    return true;
  } catch (const InternalError&) {
    throw;
  } catch (const Error& e) {
    const std::string message = e.what();
    if (message.find(path.string()) == std::string::npos || message.find('\n') != std::string::npos ||
        message.size() > kLongestMessage)
      throw std::runtime_error("the message does not name the file in one line: " + message);
    return false;
  }
}

}  // namespace

std::vector<std::string> fuzz_campaigns() {
  std::vector<std::string> names;
  for (const auto& [name, make] : campaigns()) names.push_back(name);
  return names;
}

FuzzResult fuzz(const std::string& campaign, std::uint64_t seed, std::int64_t first, std::int64_t count,
                const fs::path& work) {
  const auto& make = campaigns().at(campaign);
  FuzzResult result;
  std::signal(SIGALRM, give_up);
  open_model(kGolden / "hubert-group");  // what the first one loads and keeps is not of a damaged one
  for (std::int64_t i = first; i < first + count; ++i) {
    const std::string name = fmt::format("{}, seed {}, case {}", campaign, seed, i);
    const auto text = fmt::format("fuzz: {}: it takes more than {} s; the model is in {}\n", name, kSecondsPerCase,
                                  work.string().substr(0, 80));
    std::strncpy(current_case, text.c_str(), sizeof current_case - 1);
    Mutator mutator({key_of(campaign), seed, static_cast<std::uint64_t>(i)});
    const Files files = make(mutator);
    fs::remove_all(work);
    fs::create_directories(work);
    for (const auto& [file, content] : files) std::ofstream(work / file, std::ios::binary) << content;
    ::alarm(kSecondsPerCase);
    try {
      std::int64_t bytes = 0;
      for (const auto& [file, content] : files) bytes += static_cast<std::int64_t>(content.size());
      const bool good = try_model(files.contains("model.pt") ? work / "model.pt" : work, bytes);
      (good ? result.accepted : result.refused) += 1;
    } catch (const std::exception& e) {
      ::alarm(0);
      throw std::runtime_error(fmt::format("{}: {}; the model is in {}", name, e.what(), work.string()));
    }
    ::alarm(0);
  }
  return result;
}

void limit_memory(std::int64_t bytes) {
  const auto limit = static_cast<rlim_t>(address_space_bytes() + bytes);
  struct rlimit limits;
  ::getrlimit(RLIMIT_AS, &limits);
  limits.rlim_cur = limit;
  if (::setrlimit(RLIMIT_AS, &limits) != 0) throw std::runtime_error("setrlimit failed");
}

}  // namespace strata
