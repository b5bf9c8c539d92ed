#pragma once

#include <string>
#include <vector>

namespace strata {

/// What is wrong with the tags of a page, "" if nothing is: every tag that is opened is closed, in order, attributes
/// are quoted, and text holds no bare "<" or "&".
inline std::string markup_fault(const std::string& page) {
  std::vector<std::string> open;
  for (std::size_t at = page.find_first_of("<&"); at != std::string::npos; at = page.find_first_of("<&", at + 1)) {
    if (page[at] == '&') {
      const std::size_t end = page.find(';', at);
      if (end == std::string::npos || end - at > 7) return "a bare & at " + page.substr(at, 30);
      continue;
    }
    const std::size_t end = page.find('>', at);
    if (end == std::string::npos) return "a tag without end: " + page.substr(at, 30);
    const std::string tag = page.substr(at + 1, end - at - 1);
    if (tag.find('<') != std::string::npos) return "a bare <: " + tag;
    std::size_t quotes = 0;
    for (const char c : tag) quotes += c == '"' ? 1 : 0;
    if (quotes % 2 != 0) return "a quote without end: " + tag;
    if (tag.starts_with("!") || tag.ends_with("/")) continue;
    const std::string name = tag.substr(0, tag.find_first_of(" \n"));
    if (!name.starts_with("/")) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name.substr(1)) {
      return "<" + name + "> closes " + (open.empty() ? "nothing" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> is not closed";
}

}  // namespace strata
