# The conversations of tests/freebsd/transcripts, held with this kernel: it says the same.

for recording in transcripts/*.txt; do
	name=${recording#transcripts/}
	name=${name%.txt}
	check "$name" bin/freebsd-record --compare transcripts "$name"
done
