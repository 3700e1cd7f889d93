// What Swift needs of mpi.h. Open MPI's handles and constants are macros with casts, which Swift cannot import.
#pragma once
#if __has_include(<mpi.h>)
#include <mpi.h>
#else
#include <openmpi/mpi.h>
#endif

static inline MPI_Comm flower_mpi_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Datatype flower_mpi_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype flower_mpi_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype flower_mpi_int64(void) { return MPI_INT64_T; }
static inline MPI_Op flower_mpi_sum(void) { return MPI_SUM; }
static inline MPI_Op flower_mpi_max(void) { return MPI_MAX; }
static inline void *flower_mpi_in_place(void) { return MPI_IN_PLACE; }
static inline MPI_Status *flower_mpi_status_ignore(void) { return MPI_STATUS_IGNORE; }
static inline MPI_Errhandler flower_mpi_errors_return(void) { return MPI_ERRORS_RETURN; }
