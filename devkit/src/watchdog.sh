# Runs one mongod and ends it with its owner: `sh -c <this> watchdog FOLDER MONGOD ARGUMENT…`.
# Standard input is a pipe from the owner. Its end means that the owner has let go, has ended or was killed.
folder=$1
shift
exec 2>&1
"$@" </dev/null &
mongod=$!
echo "watchdog: $mongod"
# From here on mongod alone holds the pipe to the owner, which so sees it end.
exec >/dev/null 2>&1
# A process group that loses its owner while a member is stopped is sent a hang-up: the watchdog has to outlive it.
trap '' HUP INT QUIT TERM
while read -r word; do
    # The owner has a new watchdog for the same folder, and mongod has ended already.
    if [ "$word" = leave ]; then
        wait "$mongod"
        exit 0
    fi
done
# A stopped process heeds no other signal.
kill -s KILL "$mongod"
wait "$mongod"
# The nodes of a set share the folder. The watchdog that comes last finds no mongod alive that could add to it.
rm -rf "$folder"
