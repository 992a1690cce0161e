"""Operations on stored data: started as jobs, and run in a job's process."""
