// SPDX-License-Identifier: Apache-2.0
#include "core/digest/digest.h"

#include <algorithm>
#include <array>

#include "core/base/status.h"

namespace gantry {
namespace {

struct AlgorithmRow {
  DigestAlgorithm algorithm;
  std::string_view name;
  size_t bytes;
};

// In the order of the enumeration.
constexpr std::array<AlgorithmRow, 3> kAlgorithms = {{
    {DigestAlgorithm::kSha256, "sha256", 32},
    {DigestAlgorithm::kSha384, "sha384", 48},
    {DigestAlgorithm::kSha512, "sha512", 64},
}};

bool IsLowerAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool IsEncodedChar(char c) {
  return IsLowerAlnum(c) || (c >= 'A' && c <= 'Z') || c == '=' || c == '_' || c == '-';
}

// Runs of lower-case letters and digits joined by single separators.
bool IsAlgorithmName(std::string_view name) {
  bool in_run = false;
  for (const char c : name) {
    const bool separator = c == '.' || c == '+' || c == '_' || c == '-';
    if (!IsLowerAlnum(c) && !(separator && in_run)) return false;
    in_run = !separator;
  }
  return in_run;
}

// What an error quotes of a text from outside.
std::string_view Shown(std::string_view text) { return text.substr(0, 160); }

}  // namespace

std::string_view DigestAlgorithmName(DigestAlgorithm algorithm) {
  return kAlgorithms[static_cast<size_t>(algorithm)].name;
}

absl::StatusOr<Digest> Digest::Parse(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const std::string_view encoded =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (!IsAlgorithmName(name) || encoded.empty() ||
      !std::all_of(encoded.begin(), encoded.end(), IsEncodedChar)) {
    return InvalidArgument("digest {:?}: invalid checksum digest format", Shown(text));
  }
  const auto row = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                [&](const AlgorithmRow& each) { return each.name == name; });
  if (row == kAlgorithms.end()) {
    return InvalidArgument("digest {:?}: unsupported digest algorithm", Shown(text));
  }
  if (encoded.size() != row->bytes * 2) {
    return InvalidArgument("digest {:?}: invalid checksum digest length", Shown(text));
  }
  if (!std::all_of(encoded.begin(), encoded.end(), IsLowerHex)) {
    return InvalidArgument("digest {:?}: invalid checksum digest format", Shown(text));
  }
  return Digest(row->algorithm, std::string(text));
}

Digest Digest::FromBytes(DigestAlgorithm algorithm, std::span<const unsigned char> bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text(DigestAlgorithmName(algorithm));
  text.reserve(text.size() + 1 + bytes.size() * 2);
  text += ':';
  for (const unsigned char byte : bytes) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return Digest(algorithm, std::move(text));
}

Digest Digest::Of(std::string_view content, DigestAlgorithm algorithm) {
  Hasher hasher(algorithm);
  hasher.Update(content);
  return hasher.Current();
}

std::string_view Digest::hex() const {
  return empty() ? std::string_view()
                 : std::string_view(text_).substr(DigestAlgorithmName(algorithm_).size() + 1);
}

}  // namespace gantry
