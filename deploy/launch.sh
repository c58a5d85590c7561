#!/usr/bin/env bash
# Starts `catalog-tagger prepare` or `tag` on Dataflow or Flink, with arguments checked before anything is launched.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: deploy/launch.sh dataflow COMMAND [OPTIONS] -- FLAGS
       deploy/launch.sh flink    COMMAND [OPTIONS] -- FLAGS

COMMAND is `prepare` or `tag`; FLAGS are passed to `catalog-tagger COMMAND` as they are.

Dataflow:
  --project ID             project that pays for the job                         (required)
  --region NAME            where the workers run, e.g. europe-west1              (required)
  --bucket gs://B[/PATH]   where staged and temporary files go                   (required)
  --image IMAGE            worker image: the `dataflow` target of the Dockerfile (required)
  --machine-type TYPE      default n2-standard-4
  --max-workers N          default 20
  --service-account EMAIL  default: the project's Compute Engine account
  --private                workers without public addresses

Flink:
  --job-endpoint HOST:PORT Beam's Flink job server                               (required)
  --image IMAGE            worker image, started by Docker on the TaskManagers   (or --worker-pool)
  --worker-pool HOST:PORT  worker pool beside each TaskManager, e.g. localhost:50000
  --parallelism N          default 2

Both:
  --job-name NAME          default catalog-tagger-COMMAND
  --dry-run                print the command and stop
  --help                   this text

Exit codes are those of catalog-tagger; 2 means that an argument was refused and nothing was launched.

Example:
  deploy/launch.sh dataflow tag --project music --region europe-west1 --bucket gs://music-beam \
    --image europe-docker.pkg.dev/music/jobs/catalog-tagger:0.1.0 \
    -- --catalog gs://music/catalog/ --model gs://music/bundle --table gs://music/tags --no-wait
TEXT
}

refuse() {
  printf 'launch.sh: %s\n' "$1" >&2
  printf 'See deploy/launch.sh --help\n' >&2
  exit 2
}

# check NAME VALUE REGEX WORDS: the value must match all of REGEX.
check() {
  [[ $2 =~ ^($3)$ ]] || refuse "--$1 '$2': give $4"
}

require() {
  [[ -n $2 ]] || refuse "--$1 is missing"
}

for word in "$@"; do
  [[ $word == -- ]] && break
  [[ $word == --help || $word == -h ]] && usage && exit 0
done
(($# >= 2)) || refuse "say the engine and the command"
engine=$1 command=$2
shift 2
[[ $engine == dataflow || $engine == flink ]] || refuse "engine '$engine': choose dataflow or flink"
[[ $command == prepare || $command == tag ]] || refuse "command '$command': choose prepare or tag"

project='' region='' bucket='' image='' account='' endpoint='' pool='' private='' dry_run=''
machine=n2-standard-4 max_workers=20 parallelism=2 job_name=catalog-tagger-$command

while (($#)); do
  option=$1
  shift
  case $option in
    --) break ;;
    --dry-run) dry_run=yes && continue ;;
    --private) private=yes && continue ;;
    --*) (($#)) || refuse "$option has no value" ;;
    *) refuse "unexpected argument '$option'; catalog-tagger's own flags go after --" ;;
  esac
  value=$1
  shift
  case $engine$option in
    dataflow--project) project=$value ;;
    dataflow--region) region=$value ;;
    dataflow--bucket) bucket=${value%/} ;;
    dataflow--machine-type) machine=$value ;;
    dataflow--max-workers) max_workers=$value ;;
    dataflow--service-account) account=$value ;;
    flink--job-endpoint) endpoint=$value ;;
    flink--worker-pool) pool=$value ;;
    flink--parallelism) parallelism=$value ;;
    *--image) image=$value ;;
    *--job-name) job_name=$value ;;
    *) refuse "$option is no option of $engine; catalog-tagger's own flags go after --" ;;
  esac
done

check job-name "$job_name" '[a-z]([-a-z0-9]{0,61}[a-z0-9])?' 'lower-case letters, digits and hyphens, at most 63'
[[ -z $image ]] || check image "$image" '[a-z0-9][a-z0-9._/:@-]*' 'an image name, e.g. registry/catalog-tagger:0.1.0'

# Workers elsewhere see no disk of this machine: every place must be an object store's.
check_places() {
  local flag='' word
  for word in "$@"; do
    if [[ $word == --*=* ]]; then
      flag=${word%%=*} word=${word#*=}
    elif [[ $word == --* ]]; then
      flag=$word
      continue
    fi
    case $flag in
      --catalog | --taxonomy | --model | --table | --output | --catalog-root)
        check "${flag#--}" "$word" 'gs://[^/]+.*' 'a gs:// URL: Dataflow workers cannot see local files' ;;
    esac
    flag=''
  done
}

if [[ $engine == dataflow ]]; then
  require project "$project" && check project "$project" '[a-z]([-a-z0-9:.]*[a-z0-9])?' 'a project id'
  require region "$region" && check region "$region" '[a-z]+-[a-z]+[0-9]+' 'a region such as europe-west1'
  require bucket "$bucket" && check bucket "$bucket" 'gs://[a-z0-9][-_.a-z0-9]{1,61}[a-z0-9](/.*)?' 'a gs:// URL'
  require image "$image"
  check machine-type "$machine" '[a-z0-9]+(-[a-z0-9]+)+' 'a machine type such as n2-standard-4'
  check max-workers "$max_workers" '[1-9][0-9]{0,3}' 'a number from 1 to 9999'
  [[ -z $account ]] || check service-account "$account" '[^@ ]+@[^@ ]+' 'the e-mail address of a service account'
  check_places "$@"
  beam=(--runner=DataflowRunner --project="$project" --region="$region"
    --temp_location="$bucket/temp" --staging_location="$bucket/staging"
    --sdk_container_image="$image" --sdk_location=container
    --worker_machine_type="$machine" --max_num_workers="$max_workers")
  [[ -z $account ]] || beam+=(--service_account_email="$account")
  [[ -z $private ]] || beam+=(--no_use_public_ips)
else
  [[ -z $private ]] || refuse "--private is no option of flink"
  require job-endpoint "$endpoint" && check job-endpoint "$endpoint" '[^: ]+:[0-9]{1,5}' 'HOST:PORT'
  check parallelism "$parallelism" '[1-9][0-9]{0,3}' 'a number from 1 to 9999'
  [[ -n $image || -n $pool ]] || refuse "say where workers come from: --image or --worker-pool"
  [[ -z $image || -z $pool ]] || refuse "--image and --worker-pool exclude each other"
  beam=(--runner=PortableRunner --job_endpoint="$endpoint" --parallelism="$parallelism")
  if [[ -n $pool ]]; then
    check worker-pool "$pool" '[^: ]+:[0-9]{1,5}' 'HOST:PORT'
    beam+=(--environment_type=EXTERNAL --environment_config="$pool")
  else
    beam+=(--environment_type=DOCKER --environment_config="$image")
  fi
fi

line=(catalog-tagger "$command" "$@" --job_name="$job_name" "${beam[@]}")
if [[ -n $dry_run ]]; then
  printf '%q ' "${line[@]}"
  printf '\n'
  exit 0
fi
exec "${line[@]}"
