// SPDX-License-Identifier: Apache-2.0
// The codecs behind compression.h, one file each.
#pragma once

#include <memory>

#include "core/base/stream.h"
#include "core/compression/compression.h"

namespace gantry::compression {

std::unique_ptr<Reader> NewGzipDecompressor(std::unique_ptr<Reader> source);
std::unique_ptr<Reader> NewZstdDecompressor(std::unique_ptr<Reader> source);

std::unique_ptr<Compressor> NewGzipCompressor(Writer& sink);
std::unique_ptr<Compressor> NewZstdCompressor(Writer& sink);

}  // namespace gantry::compression
