// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

struct evp_md_ctx_st;

namespace gantry {

enum class DigestAlgorithm { kSha256, kSha384, kSha512 };

// "sha256", "sha384", "sha512".
std::string_view DigestAlgorithmName(DigestAlgorithm algorithm);

// The digest of some bytes, written as in OCI image-spec 1.1, descriptor.md: "<algorithm>:<hex>".
//
// A value, ordered by its text. What Parse() returned is safe as a file name: its two parts hold
// lower-case letters and digits only. A default-constructed digest is empty and equals no other.
class Digest {
 public:
  Digest() = default;

  // InvalidArgument with a text of its own for each of malformed, unsupported algorithm and wrong
  // length. Upper-case hex is malformed.
  static absl::StatusOr<Digest> Parse(std::string_view text);

  // From the 32, 48 or 64 bytes that `algorithm` yields; another count is a bug of the caller.
  static Digest FromBytes(DigestAlgorithm algorithm, std::span<const unsigned char> bytes);

  // The digest of `content`.
  static Digest Of(std::string_view content, DigestAlgorithm algorithm = DigestAlgorithm::kSha256);

  bool empty() const { return text_.empty(); }
  const std::string& str() const { return text_; }
  DigestAlgorithm algorithm() const { return algorithm_; }
  // A view into this object, empty for the empty digest.
  std::string_view hex() const;

  bool operator==(const Digest& other) const { return text_ == other.text_; }
  std::strong_ordering operator<=>(const Digest& other) const { return text_ <=> other.text_; }

 private:
  Digest(DigestAlgorithm algorithm, std::string text)
      : algorithm_(algorithm), text_(std::move(text)) {}

  DigestAlgorithm algorithm_ = DigestAlgorithm::kSha256;
  std::string text_;
};

// Computes a digest as bytes arrive. Feed it large pieces: 64 KiB and more per call run at the
// speed of the CPU's SHA instructions.
//
// Threads: one at a time.
class Hasher {
 public:
  explicit Hasher(DigestAlgorithm algorithm = DigestAlgorithm::kSha256);
  Hasher(Hasher&&) noexcept = default;
  Hasher& operator=(Hasher&&) noexcept = default;
  ~Hasher() = default;

  void Update(std::string_view bytes);

  // The digest of all bytes so far. Hashing may go on afterwards.
  Digest Current() const;

  uint64_t size_bytes() const { return size_bytes_; }

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  using EvpContext = std::unique_ptr<evp_md_ctx_st, Free>;

  DigestAlgorithm algorithm_;
  EvpContext context_;
  uint64_t size_bytes_ = 0;
};

}  // namespace gantry
