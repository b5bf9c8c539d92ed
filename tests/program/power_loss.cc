#include "tests/program/power_loss.h"

#include <algorithm>
#include <fstream>

#include "core/base/error.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

void make_change(std::map<std::string, std::size_t>& names,
                 const std::map<std::string, std::optional<std::size_t>>& change) {
  for (const auto& [name, node] : change) {
    if (node) {
      names[name] = *node;
    } else {
      names.erase(name);
    }
  }
}

/// Bytes of a file that was written but not synced: part of them, the rest absent or zero.
std::string torn(const std::string& now, RandomStream& random) {
  std::string content = now.substr(0, random.below(now.size() + 1));
  if (random.below(2) == 0) content.resize(now.size(), '\0');
  return content;
}

}  // namespace

std::vector<FileCall> read_file_calls(const fs::path& log) {
  std::vector<FileCall> calls;
  std::ifstream file(log, std::ios::binary);
  for (FileCall call; file >> call.kind; calls.push_back(std::move(call))) {
    std::size_t bytes = 0;
    file >> call.number >> bytes;
    file.get();
    std::getline(file, call.path, '\t');
    std::getline(file, call.other);
    call.data.resize(bytes);
    if (!file.read(call.data.data(), static_cast<std::streamsize>(bytes)))
      throw DataError(log.string() + ": cut after a record's head");
  }
  return calls;
}

LossyDisk::LossyDisk(fs::path root) : root_(std::move(root)), nodes_(1) { nodes_[0].folder = true; }

std::size_t LossyDisk::find(const fs::path& path) const {
  std::size_t node = 0;
  if (path.lexically_normal() == root_.lexically_normal()) return node;
  for (const fs::path& name : path.lexically_normal().lexically_relative(root_)) {
    if (name.empty()) continue;
    const auto found = nodes_[node].names.find(name);
    if (found == nodes_[node].names.end())
      throw InternalError("the log changes what it did not make: " + path.string());
    node = found->second;
  }
  return node;
}

void LossyDisk::change(const fs::path& folder, const Change& change) {
  Node& node = nodes_[find(folder)];
  make_change(node.names, change);
  node.pending.push_back(change);
}

void LossyDisk::apply(const FileCall& call) {
  const fs::path path = call.path, other = call.other;
  if (call.kind == "create" || call.kind == "mkdir") {
    if (!nodes_[find(path.parent_path())].names.contains(path.filename())) {
      nodes_.emplace_back().folder = call.kind == "mkdir";
      change(path.parent_path(), {{path.filename(), nodes_.size() - 1}});
    }
    if (call.number == 1) nodes_[find(path)].now.clear();
  } else if (call.kind == "write") {
    std::string& now = nodes_[find(path)].now;
    now.resize(std::max(now.size(), static_cast<std::size_t>(call.number) + call.data.size()));
    now.replace(static_cast<std::size_t>(call.number), call.data.size(), call.data);
  } else if (call.kind == "truncate") {
    nodes_[find(path)].now.resize(static_cast<std::size_t>(call.number));
  } else if (call.kind == "sync") {
    Node& node = nodes_[find(path)];
    node.synced = node.now;
    node.durable = node.names;
    node.pending.clear();
  } else if (call.kind == "close") {  // promises nothing
  } else if (call.kind == "unlink") {
    change(path.parent_path(), {{path.filename(), std::nullopt}});
  } else if ((call.kind == "rename" || call.kind == "link") && path.parent_path() == other.parent_path()) {
    Change names = {{other.filename(), find(path)}};
    if (call.kind == "rename") names[path.filename()] = std::nullopt;
    change(path.parent_path(), names);
  } else {
    throw InternalError("no model of " + call.kind + " " + call.path + " " + call.other);
  }
}

void LossyDisk::gather(const Node& folder, const std::string& place, Kept kept, RandomStream& random,
                       std::map<std::string, std::string>& files) const {
  std::map<std::string, std::size_t> names = folder.durable;
  std::size_t changes = kept == Kept::kNothing ? 0 : folder.pending.size();
  if (kept == Kept::kSome) changes = random.below(changes + 1);
  for (std::size_t i = 0; i < changes; ++i) make_change(names, folder.pending[i]);
  for (const auto& [name, index] : names) {
    const Node& node = nodes_[index];
    if (node.folder) {
      files[place + name + "/"] = "";
      gather(node, place + name + "/", kept, random, files);
    } else {
      files[place + name] = kept == Kept::kSome && node.now != node.synced ? torn(node.now, random) : node.synced;
    }
  }
}

std::map<std::string, std::string> LossyDisk::after_loss(Kept kept, RandomStream& random) const {
  std::map<std::string, std::string> files;
  gather(nodes_[0], "", kept, random, files);
  return files;
}

}  // namespace strata
