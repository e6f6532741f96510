#!/usr/bin/env bash
# The five steps of "azure-ir-03-snapshot-forensic". Corrected: the lock names the policy's own etag, an incremental
# snapshot stays in the subscription of its disk, every disk is taken and not the first one alone. The account stays
# open to the network, because a closed one is reached from inside it only.
set -euo pipefail
incident=ir-2026-05-23-001 group=rg-workload-prod name=vm-app-01 account=stforensicir2606
machine="/subscriptions/$SUB_ID/resourceGroups/$group/providers/Microsoft.Compute/virtualMachines/$name"
az account set --subscription "$FORENSIC_SUB_ID"

# (1) to (3) An account, versions, a container.
az storage account create --resource-group rg-forensic --name "$account" --location westeurope --sku Standard_GRS \
  --kind StorageV2 --allow-blob-public-access false --enable-hierarchical-namespace false --output none
az storage account blob-service-properties update --account-name "$account" --enable-versioning true --output none
az storage container create --account-name "$account" --name ir-evidence --auth-mode login --output none

# (4) A policy for a year, locked for good.
etag=$(az storage container immutability-policy create --account-name "$account" --container-name ir-evidence \
  --period 365 --allow-protected-append-writes true --query etag -o tsv)
az storage container immutability-policy lock --account-name "$account" --container-name ir-evidence \
  --if-match "$etag" --output none

# (5) The snapshots.
for disk in $(az vm show --ids "$machine" --query '[storageProfile.osDisk.managedDisk.id, storageProfile.dataDisks[].managedDisk.id][]' -o tsv); do
  az snapshot create --subscription "$SUB_ID" --resource-group rg-forensic-prod --name "snap-$incident-$(basename "$disk")" \
    --source "$disk" --incremental true --output none --tags incident_id="$incident" captured_by=responder-bg01 \
    captured_at="$(date -u +%FT%TZ)" source_resource_id="$disk"
done
