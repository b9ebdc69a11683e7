# SPDX-License-Identifier: Apache-2.0
# Script: adapts generated C++ (BASE.pb.h and BASE.pb.cc) to this compiler and C library.
#   MACROS    are undefined after the header's includes. <string> brings in SCHED_FIFO and the like as macros, so
#             an enum with such values would not compile.
#   KEYWORDS  are accessors that C++20 made keywords after this protoc was written; they get an underscore, as
#             protoc does with the keywords it knows.
string(REPLACE "," ";" MACROS "${MACROS}")
string(REPLACE "," ";" KEYWORDS "${KEYWORDS}")
foreach(file ${BASE}.pb.h ${BASE}.pb.cc)
  file(READ ${file} text)
  if(MACROS AND file MATCHES "\\.h$")
    set(mark "// @@protoc_insertion_point(includes)\n")
    string(FIND "${text}" "${mark}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "${file}: no insertion point for includes")
    endif()
    list(TRANSFORM MACROS PREPEND "#undef " OUTPUT_VARIABLE lines)
    list(JOIN lines "\n" lines)
    string(REPLACE "${mark}" "${mark}${lines}\n" text "${text}")
  endif()
  foreach(keyword IN LISTS KEYWORDS)
    string(REGEX REPLACE "([^A-Za-z0-9_])${keyword}\\(" "\\1${keyword}_(" text "${text}")
  endforeach()
  file(WRITE ${file} "${text}")
endforeach()
