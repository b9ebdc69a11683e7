# SPDX-License-Identifier: Apache-2.0
# gantry_library() and gantry_binary(): one target per folder, held to the table of rooms.
#
# A library named after its folder (core/leases -> gantry::core.leases) sees its own headers and those of its
# DEPS, each through a folder of links ("view"), so an include that the dependency table does not
# allow does not compile.

# Which targets each room may name. The longest matching room wins.
set(ROOM_RULES
  "core/kernel|^$"
  "core/wire|^gantry::core\\.kernel$"
  "core/base|^gantry::core\\.kernel$"
  "core/log|^gantry::core\\.(base|kernel)$"
  "core/db|^gantry::core\\.(base|kernel)$"
  "core/runtime|^gantry::((core|proto)\\.|shim\\.(cgroup|group|options|server)$)"
  "core|^gantry::(core|proto)\\."
  "shim|^gantry::(core\\.kernel|core\\.wire|shim(\\..*)?)$"
  "services|^gantry::(core|proto|services)\\."
  "snapshotters/proxy|^gantry::(core|proto|proxies)\\."
  "snapshotters|^gantry::core\\."
  "proxies|^gantry::(core|proto|proxies)\\."
  "cri|^gantry::(core|proto|cri)\\."
  "cmd|^gantry::"
  "tests|^gantry::")

function(_gantry_room folder out)
  foreach(rule IN LISTS ROOM_RULES)
    string(FIND "${rule}" "|" bar)
    string(SUBSTRING "${rule}" 0 ${bar} room)
    math(EXPR bar "${bar} + 1")
    string(SUBSTRING "${rule}" ${bar} -1 allowed)
    if(folder STREQUAL room OR folder MATCHES "^${room}/")
      set(${out} "${allowed}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "${folder} is in no room; see ROOM_RULES")
endfunction()

function(_gantry_check_deps name folder)
  _gantry_room(${folder} allowed)
  foreach(dep IN LISTS ARGN)
    if(NOT TARGET ${dep})
      message(FATAL_ERROR "${name} needs ${dep}, which is declared above it or nowhere")
    elseif(NOT dep MATCHES "${allowed}")
      message(FATAL_ERROR "${name} may not see ${dep}: rooms meet in core, or in cmd")
    endif()
  endforeach()
endfunction()

# The rooms that the shim is made of are built for size: every shim pays for the pages of text that it touches. Nothing in
# shim/ throws, and what the library throws there ends the process with or without tables for it.
function(_gantry_keep_small target folder)
  if(GANTRY_SANITIZE OR NOT folder MATCHES "^(shim|core/kernel|core/wire)(/|$)")
    return()
  endif()
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Os> -ffunction-sections -fdata-sections)
  if(folder MATCHES "^shim/")
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-fno-exceptions>)
  endif()
endfunction()

# gantry_library(SRCS … HEADERS … DEPS gantry::… LIBS … TESTS … TEST_DEPS … LABELS …)
# HEADERS defaults to every header of the folder. Without SRCS the library is header-only.
# PCH names a precompiled header of pch.cmake, such as grpc.
# TESTS become one binary "<name>_test", each test case registered with CTest under LABELS.
function(gantry_library)
  cmake_parse_arguments(ARG "" "NAME;PCH" "SRCS;HEADERS;DEPS;LIBS;PRIVATE_LIBS;TESTS;TEST_DEPS;TEST_LIBS;LABELS" ${ARGN})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  if(NOT ARG_NAME)
    string(REPLACE "/" "." ARG_NAME ${folder})
  endif()
  set(target ${ARG_NAME})
  _gantry_check_deps(${target} ${folder} ${ARG_DEPS})
  if(NOT ARG_HEADERS)
    file(GLOB ARG_HEADERS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS *.h testing/*.h)
  endif()

  set(view ${CMAKE_BINARY_DIR}/view/${target})
  get_filename_component(parent ${view}/${folder} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  if(NOT EXISTS ${view}/${folder})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/${folder} SYMBOLIC)
  endif()
  set(headers ${ARG_HEADERS})
  list(TRANSFORM headers PREPEND ${view}/${folder}/)

  set(scope PUBLIC)
  if(ARG_SRCS)
    add_library(${target} STATIC ${ARG_SRCS})
    target_link_libraries(${target} PRIVATE gantry_warnings ${ARG_PRIVATE_LIBS})
    _gantry_keep_small(${target} ${folder})
    if(ARG_PCH)
      gantry_use_pch(${target} ${ARG_PCH})
    endif()
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(gantry::${target} ALIAS ${target})
  target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS ${view} FILES ${headers})
  target_link_libraries(${target} ${scope} ${ARG_DEPS} ${ARG_LIBS})

  if(ARG_TESTS AND BUILD_TESTING)
    gantry_test(NAME ${target}_test SRCS ${ARG_TESTS} DEPS gantry::${target} ${ARG_TEST_DEPS}
                LIBS ${ARG_TEST_LIBS} LABELS ${ARG_LABELS} PCH ${ARG_PCH})
  endif()
endfunction()

# gantry_test(NAME … SRCS … DEPS … LIBS … LABELS …): a GoogleTest binary, its cases known to CTest.
# RUNNER is a script that gets the binary as its argument; its exit code 77 means skipped.
# Labels: unit (no root, no network, milliseconds), kernel (root, real features), integration, slow.
function(gantry_test)
  cmake_parse_arguments(ARG "" "NAME;PCH;RUNNER" "SRCS;DEPS;LIBS;LABELS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SRCS})
  target_link_libraries(${ARG_NAME} PRIVATE gantry_warnings gantry_sanitizer ${ARG_DEPS} ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  if(ARG_PCH)
    gantry_use_pch(${ARG_NAME} ${ARG_PCH})
  endif()
  set_target_properties(${ARG_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  # One CTest entry per binary keeps start-up cost low; the summary counts the cases inside.
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_RUNNER} $<TARGET_FILE:${ARG_NAME}>)
  set(timeout 300)
  if(GANTRY_SANITIZE)
    set(timeout 900)
  endif()
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${timeout} SKIP_RETURN_CODE 77)
endfunction()

# gantry_binary(NAME … SRCS … DEPS … LIBS …): a program in build/<preset>/bin.
function(gantry_binary)
  cmake_parse_arguments(ARG "" "NAME;PCH" "SRCS;DEPS;LIBS" ${ARGN})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  _gantry_check_deps(${ARG_NAME} ${folder} ${ARG_DEPS})
  set(view ${CMAKE_BINARY_DIR}/view/${ARG_NAME})
  get_filename_component(parent ${view}/${folder} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  if(NOT EXISTS ${view}/${folder})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/${folder} SYMBOLIC)
  endif()
  add_executable(${ARG_NAME} ${ARG_SRCS})
  target_include_directories(${ARG_NAME} PRIVATE ${view})
  target_link_libraries(${ARG_NAME} PRIVATE gantry_warnings gantry_sanitizer ${ARG_DEPS} ${ARG_LIBS})
  if(ARG_PCH)
    gantry_use_pch(${ARG_NAME} ${ARG_PCH})
  endif()
endfunction()
