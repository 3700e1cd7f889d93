// What Swift needs of mpi.h. Open MPI's handles and constants are macros with casts, which Swift cannot import.
#pragma once
#if __has_include(<mpi.h>)
#include <mpi.h>
#else
#include <openmpi/mpi.h>
#endif

static inline MPI_Comm flower_mpi_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Datatype flower_mpi_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype flower_mpi_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype flower_mpi_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype flower_mpi_int64(void) { return MPI_INT64_T; }
static inline MPI_Op flower_mpi_sum(void) { return MPI_SUM; }
static inline MPI_Op flower_mpi_max(void) { return MPI_MAX; }
static inline void *flower_mpi_in_place(void) { return MPI_IN_PLACE; }
static inline MPI_Status *flower_mpi_status_ignore(void) { return MPI_STATUS_IGNORE; }
static inline MPI_Status *flower_mpi_statuses_ignore(void) { return MPI_STATUSES_IGNORE; }
static inline MPI_Errhandler flower_mpi_errors_return(void) { return MPI_ERRORS_RETURN; }

// The ranks that can share memory with this one: those of its host.
static inline int flower_mpi_split_host(MPI_Comm comm, MPI_Comm *host) {
  return MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, host);
}

// `bytes` of memory that all ranks of `host` see, zero at first; every rank gets its own address of them.
static inline int flower_mpi_share(MPI_Comm host, MPI_Aint bytes, void **base, MPI_Win *window) {
  int rank, unit;
  MPI_Comm_rank(host, &rank);
  int code = MPI_Win_allocate_shared(rank == 0 ? bytes : 0, 1, MPI_INFO_NULL, host, base, window);
  return code != MPI_SUCCESS ? code : MPI_Win_shared_query(*window, 0, &bytes, &unit, base);
}
