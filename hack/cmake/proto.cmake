# SPDX-License-Identifier: Apache-2.0
# gantry_proto_library(): one library per wire contract, generated below build/<preset>/gen.
#
# Generated headers are included as "proto/services/version/v1/version.pb.h". They include each other by
# import path ("services/version/v1/version.pb.h"), so a library publishes two roots: gen/<name> and
# gen/<name>/proto. Each library has roots of its own, so an include that DEPS does not cover does not compile.

set(GANTRY_PROTO_ROOT ${CMAKE_SOURCE_DIR}/proto)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)

# Nobody debugs or profiles generated code line by line: what counts is how long it takes to build.
set(GANTRY_PROTO_OPTIONS -O1 -g0 -w)
gantry_pch(NAME proto LIBS PkgConfig::GRPC protobuf::libprotobuf OPTIONS ${GANTRY_PROTO_OPTIONS}
  HEADERS ${GANTRY_GRPC_HEADERS})

# Adds the command that compiles one .proto to `root`, and appends the .cc files to the list `out`.
# Reads GRPC, UNDEF and KEYWORDS of the calling gantry_proto_library().
function(_gantry_protoc proto root out)
  string(REGEX REPLACE "\\.proto$" "" stem ${proto})
  set(base ${root}/proto/${stem})
  set(made ${base}.pb.cc)
  set(outputs ${base}.pb.cc ${base}.pb.h)
  set(plugin)
  if(ARG_GRPC)
    list(APPEND made ${base}.grpc.pb.cc)
    # First, as in protoc's dependency file: ninja compares, and would always rebuild otherwise.
    list(PREPEND outputs ${base}.grpc.pb.cc ${base}.grpc.pb.h)
    set(plugin --grpc_out=${root}/proto --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN})
  endif()
  set(adapt)
  set(script)
  if(ARG_UNDEF OR ARG_KEYWORDS)
    set(script ${CMAKE_SOURCE_DIR}/hack/cmake/adapt_generated.cmake)
    list(JOIN ARG_UNDEF "," macros)
    list(JOIN ARG_KEYWORDS "," keywords)
    set(adapt COMMAND ${CMAKE_COMMAND} -D BASE=${base} -D MACROS=${macros} -D KEYWORDS=${keywords} -P ${script})
  endif()
  add_custom_command(OUTPUT ${outputs}
    COMMAND protobuf::protoc -I ${GANTRY_PROTO_ROOT} -I ${Protobuf_INCLUDE_DIR} --cpp_out=${root}/proto ${plugin}
            --dependency_out=${base}.d ${proto}
    ${adapt}
    DEPENDS ${GANTRY_PROTO_ROOT}/${proto} ${script} DEPFILE ${base}.d
    COMMENT "protoc ${proto}" VERBATIM)
  set(${out} ${${out}} ${made} PARENT_SCOPE)
endfunction()

# gantry_proto_library(NAME proto.… PROTOS … DEPS gantry::proto.… [GRPC] [UNDEF …] [KEYWORDS …])
# Makes gantry::<NAME>. PROTOS are paths below proto/. GRPC adds the service stubs; without it only messages
# are made, as for services spoken over ttrpc. UNDEF and KEYWORDS list names that the generated code
# cannot use as they are; see adapt_generated.cmake. Built only when something links it; "proto.all" builds all.
function(gantry_proto_library)
  cmake_parse_arguments(ARG "GRPC" "NAME" "PROTOS;DEPS;UNDEF;KEYWORDS" ${ARGN})
  foreach(dep IN LISTS ARG_DEPS)
    if(NOT TARGET ${dep} OR NOT dep MATCHES "^gantry::proto\\.")
      message(FATAL_ERROR "${ARG_NAME} needs ${dep}, which is no contract declared above it")
    endif()
  endforeach()

  set(root ${CMAKE_BINARY_DIR}/gen/${ARG_NAME})
  file(MAKE_DIRECTORY ${root}/proto)
  set(sources)
  foreach(proto IN LISTS ARG_PROTOS)
    _gantry_protoc(${proto} ${root} sources)
  endforeach()

  add_library(${ARG_NAME} STATIC EXCLUDE_FROM_ALL ${sources})
  add_library(gantry::${ARG_NAME} ALIAS ${ARG_NAME})
  target_compile_options(${ARG_NAME} PRIVATE ${GANTRY_PROTO_OPTIONS})
  target_include_directories(${ARG_NAME} SYSTEM PUBLIC ${root} ${root}/proto)
  target_link_libraries(${ARG_NAME} PUBLIC ${ARG_DEPS} protobuf::libprotobuf)
  if(ARG_GRPC)
    target_link_libraries(${ARG_NAME} PUBLIC PkgConfig::GRPC)
  endif()
  gantry_use_pch(${ARG_NAME} proto)
  set_property(GLOBAL APPEND PROPERTY GANTRY_PROTO_FILES ${ARG_PROTOS})
  set_property(GLOBAL APPEND PROPERTY GANTRY_PROTO_LIBRARIES ${ARG_NAME})
endfunction()

# Called after the last library: fails for a .proto that belongs to none, and declares "proto.all".
function(gantry_proto_finish)
  get_property(owned GLOBAL PROPERTY GANTRY_PROTO_FILES)
  get_property(libraries GLOBAL PROPERTY GANTRY_PROTO_LIBRARIES)
  file(GLOB_RECURSE orphans RELATIVE ${GANTRY_PROTO_ROOT} CONFIGURE_DEPENDS ${GANTRY_PROTO_ROOT}/*.proto)
  list(REMOVE_ITEM orphans ${owned})
  if(orphans)
    message(FATAL_ERROR "In no gantry_proto_library: ${orphans}")
  endif()
  add_custom_target(proto.all DEPENDS ${libraries})
endfunction()
