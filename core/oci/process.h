// SPDX-License-Identifier: Apache-2.0
// The process of a container: runtime-spec config.md, "Process".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/imagespec/image_config.h"
#include "core/json/json.h"

namespace gantry::oci {

void SetArgs(Json& spec, const std::vector<std::string>& args);
void SetCwd(Json& spec, const std::string& cwd);
// MergeEnvironment() into what is there.
void AddEnvironment(Json& spec, const std::vector<std::string>& entries);
// A terminal, and TERM with it.
void SetTerminal(Json& spec);
void SetNoNewPrivileges(Json& spec, bool on);
void SetApparmorProfile(Json& spec, const std::string& name);
// Replaces the limit of the same type ("RLIMIT_NOFILE").
void SetRlimit(Json& spec, const std::string& type, uint64_t soft, uint64_t hard);

// Arguments, environment and working directory as the image wishes; what the environment holds
// already wins. Not the user: ResolveUser() needs the image's files.
void ApplyImageConfig(Json& spec, const imagespec::ImageConfig& image);

}  // namespace gantry::oci
