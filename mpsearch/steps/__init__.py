"""The steps of the main job, a file each: request, prepare, measure, allocate, verify, draw."""
