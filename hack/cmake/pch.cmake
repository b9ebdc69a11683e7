# SPDX-License-Identifier: Apache-2.0
# Precompiled headers that targets share: parsing gRPC costs seconds per translation unit.
#
# A target takes one with gantry_library(… PCH grpc) or gantry_use_pch(target grpc). Sources still include all they
# use: the threadsafety preset and the header verification build without precompiled headers.

# gantry_pch(NAME … HEADERS … LIBS … OPTIONS …): declares gantry_<name>_pch.
function(gantry_pch)
  cmake_parse_arguments(ARG "" "NAME" "HEADERS;LIBS;OPTIONS" ${ARGN})
  if(NOT GANTRY_PCH)
    return()
  endif()
  set(source ${CMAKE_BINARY_DIR}/pch/${ARG_NAME}.cc)
  file(GENERATE OUTPUT ${source} CONTENT "// Carries the precompiled header ${ARG_NAME}.\n")
  add_library(gantry_${ARG_NAME}_pch OBJECT EXCLUDE_FROM_ALL ${source})
  target_link_libraries(gantry_${ARG_NAME}_pch PRIVATE ${ARG_LIBS})
  target_compile_options(gantry_${ARG_NAME}_pch PRIVATE ${ARG_OPTIONS})
  target_precompile_headers(gantry_${ARG_NAME}_pch PRIVATE ${ARG_HEADERS})
endfunction()

function(gantry_use_pch target name)
  if(GANTRY_PCH)
    target_precompile_headers(${target} REUSE_FROM gantry_${name}_pch)
  endif()
endfunction()

set(GANTRY_GRPC_HEADERS <grpcpp/grpcpp.h> <grpcpp/impl/codegen/proto_utils.h> <grpcpp/generic/async_generic_service.h>
  <google/protobuf/message.h> <google/protobuf/map_entry.h> <google/protobuf/map_field_inl.h>
  <google/protobuf/generated_message_reflection.h> <google/protobuf/unknown_field_set.h>
  <google/protobuf/any.pb.h> <google/protobuf/empty.pb.h> <google/protobuf/field_mask.pb.h>
  <google/protobuf/timestamp.pb.h>)

# For hand-written code that serves or calls gRPC.
gantry_pch(NAME grpc LIBS fmt::fmt PkgConfig::GRPC protobuf::libprotobuf absl::statusor absl::time
  HEADERS ${GANTRY_GRPC_HEADERS} <absl/status/status.h> <absl/status/statusor.h> <absl/time/time.h>
          <fmt/format.h> <algorithm> <functional> <map> <memory> <optional> <string> <string_view> <utility> <vector>)
