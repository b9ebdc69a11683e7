// SPDX-License-Identifier: Apache-2.0
#include <openssl/evp.h>

#include <array>
#include <cstdlib>

#include "core/digest/digest.h"

namespace gantry {
namespace {

const EVP_MD* Method(DigestAlgorithm algorithm) {
  switch (algorithm) {
    case DigestAlgorithm::kSha384:
      return EVP_sha384();
    case DigestAlgorithm::kSha512:
      return EVP_sha512();
    case DigestAlgorithm::kSha256:
      break;
  }
  return EVP_sha256();
}

// SHA-2 over memory fails only where OpenSSL has no memory or no provider left: as for any other
// allocation there is no way on, and a digest that might be wrong must not leave this file.
void Require(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

void Hasher::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Hasher::Hasher(DigestAlgorithm algorithm) : algorithm_(algorithm), context_(EVP_MD_CTX_new()) {
  Require(context_ != nullptr &&
          EVP_DigestInit_ex(context_.get(), Method(algorithm), nullptr) == 1);
}

void Hasher::Update(std::string_view bytes) {
  Require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  size_bytes_ += bytes.size();
}

Digest Hasher::Current() const {
  const EvpContext copy(EVP_MD_CTX_new());
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes = {};
  unsigned int size = 0;
  Require(copy != nullptr && EVP_MD_CTX_copy_ex(copy.get(), context_.get()) == 1 &&
          EVP_DigestFinal_ex(copy.get(), bytes.data(), &size) == 1);
  return Digest::FromBytes(algorithm_, std::span(bytes).first(size));
}

}  // namespace gantry
