// SPDX-License-Identifier: Apache-2.0
// The wire contract as a flat list of facts, in which two descriptions can be compared line by
// line.
//
// A fact is a name and what is said about it:
//   field containerd.types.Mount.options       4 repeated string
//   method containerd.services.diff.v1.Diff.Apply  (…ApplyRequest) -> …ApplyResponse
//
// Written facts stand in facts/*.txt, in blocks of this form (two spaces per level, # begins a
// comment):
//   file types/mount.proto  package containerd.types  syntax proto3  imports a.proto, b.proto
//   enum Kind: UNKNOWN=0, VIEW=1
//   service Name
//     Method(stream Request) -> Response
//   message Name
//     reserved 8
//     1 name [repeated] type [optional] [deprecated], where a type may be map<string,type>
//     message Nested
//   extend google.protobuf.FileOptions
//     63300 name bool optional
// Types are full names, or names in the file's package.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace gantry::contract {

using Facts = std::map<std::string, std::string, std::less<>>;

// Reads facts; text that has another form is InvalidArgument with its line number.
absl::StatusOr<Facts> ParseFacts(std::string_view text);

// One line per fact that is missing from `compiled`, additional in it, or different. Empty if
// equal.
std::vector<std::string> Differences(const Facts& written, const Facts& compiled);

}  // namespace gantry::contract
