// SPDX-License-Identifier: Apache-2.0
#include "core/imagespec/reference.h"

#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "core/base/status.h"

namespace gantry::imagespec {
namespace {

constexpr std::string_view kDefaultDomain = "docker.io";
constexpr std::string_view kOfficialPrefix = "library/";
constexpr size_t kMaxReferenceBytes = 1024;
constexpr size_t kMaxNameBytes = 255;

// Host, path, tag, digest.
constexpr const char* kPattern =
    R"re(((?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?|\[[a-fA-F0-9:]+\](?::[0-9]+)?)/)re"
    R"re(([a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*)*))re"
    R"re((?::(\w[\w.-]{0,127}))?)re"
    R"re((?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[[:xdigit:]]{32,}))?)re";

bool HasUpperCase(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return std::isupper(c) != 0; });
}

bool IsDomain(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos ||
         HasUpperCase(first);
}

// With its domain and, on docker.io, at least two components.
std::string WithDomain(std::string_view text) {
  std::string_view domain = kDefaultDomain;
  std::string_view rest = text;
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    const std::string_view first = text.substr(0, slash);
    if (first == "index.docker.io" || IsDomain(first)) {
      domain = first == "index.docker.io" ? kDefaultDomain : first;
      rest = text.substr(slash + 1);
    }
  }
  std::string full = std::string(domain) + "/";
  if (domain == kDefaultDomain && rest.find('/') == std::string_view::npos) full += kOfficialPrefix;
  return full.append(rest);
}

}  // namespace

std::string Reference::str() const {
  std::string text = domain + "/" + path;
  if (!tag.empty()) text += ":" + tag;
  if (!digest.empty()) text += "@" + digest;
  return text;
}

absl::StatusOr<Reference> ParseReference(std::string_view text) {
  if (text.size() > kMaxReferenceBytes) {
    return InvalidArgument("reference of {} bytes: longer than {}", text.size(),
                           kMaxReferenceBytes);
  }
  static const RE2 pattern(kPattern);
  Reference reference;
  if (!RE2::FullMatch(WithDomain(text), pattern, &reference.domain, &reference.path, &reference.tag,
                      &reference.digest)) {
    return InvalidArgument("{:?}: invalid reference format", text);
  }
  if (reference.domain.size() + 1 + reference.path.size() > kMaxNameBytes) {
    return InvalidArgument("{:?}: name longer than {} bytes", text, kMaxNameBytes);
  }
  return reference;
}

absl::StatusOr<std::string> DockerReference(std::string_view text) {
  ASSIGN_OR_RETURN(Reference reference, ParseReference(text));
  if (!reference.digest.empty()) reference.tag.clear();
  if (reference.digest.empty() && reference.tag.empty()) reference.tag = "latest";
  return reference.str();
}

}  // namespace gantry::imagespec
