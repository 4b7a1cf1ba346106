# Wholecard's agent for Windows: it reports on the first serial port which PCI cards this guest has,
# which drivers bind them and what those drivers count, in the same form as agent.sh. It needs no
# network. Windows PowerShell 5.1; it runs as administrator, for example by cloudbase-init.
#
# The nonce of the proof comes from $env:WHOLECARD_NONCE or from the config drive; without one the
# agent is silent. $env:WHOLECARD_BENCH is the number of bodies for wholecard-bench.

$ErrorActionPreference = 'Stop'
$Prefix = 'WHOLECARD-PROOF'
$AllBytes = 40960
$Repeat = 12
$PauseSeconds = 5
$script:Lines = New-Object System.Collections.ArrayList
$script:Counts = @{ function = 0; codec = 0; gpu = 0; problem = 0; benchmark = 0; container = 0 }
$script:Boot = ''
$Md5 = [System.Security.Cryptography.MD5]::Create()

function Get-FirstEight([string] $Text) {
    $Sum = $Md5.ComputeHash([System.Text.Encoding]::UTF8.GetBytes($Text))
    return [System.BitConverter]::ToString($Sum).Replace('-', '').ToLowerInvariant().Substring(0, 8)
}

# Text of others, so that it can be quoted in JSON and shown on a terminal.
function Get-CleanText([string] $Text) {
    $Clean = ($Text -replace '\s+', ' ') -replace '[^A-Za-z0-9 ._:/()+,=@%#&\\-]', ''
    $Clean = $Clean.Replace('\', '/').Trim()
    if ($Clean.Length -gt 160) { $Clean = $Clean.Substring(0, 160) }
    return $Clean
}

# A record as a line of the console: its checksum is against accidents, not against an adversary.
function Add-Record([string] $Kind, $Fields) {
    $Record = [ordered]@{ boot = $script:Boot; number = $script:Lines.Count; record = $Kind }
    foreach ($Key in $Fields.Keys) { $Record[$Key] = $Fields[$Key] }
    $Json = ConvertTo-Json -InputObject $Record -Compress
    [void] $script:Lines.Add("$Prefix $(Get-FirstEight $Json) $Json")
    if ($script:Counts.ContainsKey($Kind)) { $script:Counts[$Kind] += 1 }
}

function Add-Problem([string] $Source, $ExitCode, [string] $Text) {
    if ($ExitCode -lt 0) { $ExitCode = $null }
    Add-Record 'problem' ([ordered]@{ source = $Source; exit = $ExitCode; text = Get-CleanText $Text })
}

# A program's output as lines; $null where it failed, which is a problem of $Source.
function Invoke-Tool([string] $Source, [string] $Program, [string[]] $Arguments) {
    try {
        $ErrorActionPreference = 'Continue'
        $Output = & $Program @Arguments 2>&1 | ForEach-Object { "$_" }
        $Status = $LASTEXITCODE
    } catch {
        $Output = @("$_")
        $Status = $null
    }
    if ($Status -eq 0) { return , @($Output) }
    Add-Problem $Source $Status (@($Output | Where-Object { $_.Trim() } | Select-Object -First 2) -join ' ')
    return $null
}

# --- Who asks --------------------------------------------------------------------------------------

function Get-Asked {
    $Asked = @{ nonce = $env:WHOLECARD_NONCE; bench = $env:WHOLECARD_BENCH; containers = $env:WHOLECARD_CONTAINERS }
    $Drive = Get-CimInstance Win32_Volume -Filter "Label = 'config-2'" | Select-Object -First 1
    if ($Drive) {
        $File = Join-Path $Drive.Name 'openstack\latest\meta_data.json'
        if (Test-Path -LiteralPath $File) {
            $Meta = (Get-Content -LiteralPath $File -Raw -Encoding UTF8 | ConvertFrom-Json).meta
            foreach ($Key in @('nonce', 'bench', 'containers')) {
                $Value = $Meta."wholecard_$Key"
                if (-not $Asked[$Key] -and "$Value" -match '^[0-9A-Za-z._:/-]+$') { $Asked[$Key] = $Value }
            }
        }
    }
    return $Asked
}

# --- Functions -------------------------------------------------------------------------------------

function Get-Property([string] $Id, [string] $Key) {
    return (Get-PnpDeviceProperty -InstanceId $Id -KeyName $Key -ErrorAction SilentlyContinue).Data
}

# DEVPKEY_Device_Address of a PCI function is its slot in the upper and its function in the lower
# 16 bits (devpkey.h; PCI bus driver).
function Get-PciAddress([string] $Id) {
    $Bus = Get-Property $Id 'DEVPKEY_Device_BusNumber'
    $Place = Get-Property $Id 'DEVPKEY_Device_Address'
    if ($null -eq $Bus -or $null -eq $Place) { return $null }
    return '{0:x4}:{1:x2}:{2:x2}.{3:x}' -f ($Bus -shr 8), ($Bus -band 255), ($Place -shr 16), ($Place -band 7)
}

function Get-PciPath([string] $Id) {
    $Steps = @()
    while ($Id -like 'PCI\*' -and $Steps.Count -lt 32) {
        $Steps = @(Get-PciAddress $Id) + $Steps
        $Id = Get-Property $Id 'DEVPKEY_Device_Parent'
    }
    return $Steps -join '/'
}

# "16.0x16": DEVPKEY_PciDevice_CurrentLinkSpeed counts the generations (pciprop.h).
function Get-Link([string] $Id, [string] $Which) {
    $Speed = Get-Property $Id "DEVPKEY_PciDevice_${Which}LinkSpeed"
    $Width = Get-Property $Id "DEVPKEY_PciDevice_${Which}LinkWidth"
    $Rates = @{ 1 = '2.5'; 2 = '5.0'; 3 = '8.0'; 4 = '16.0'; 5 = '32.0'; 6 = '64.0' }
    if ($null -eq $Speed -or $null -eq $Width -or -not $Rates.ContainsKey([int] $Speed)) { return $null }
    return "$($Rates[[int] $Speed])x$Width"
}

# Windows tells the ranges and not the numbers of the BARs: the largest comes first.
function Get-Ranges($Device) {
    $Ranges = Get-CimAssociatedInstance -InputObject $Device -ResultClassName Win32_DeviceMemoryAddress
    $Sizes = @($Ranges | ForEach-Object { [long] $_.EndingAddress - [long] $_.StartingAddress + 1 })
    return $Sizes | Sort-Object -Descending | Select-Object -First 6
}

function Add-Function($Device) {
    $Id = $Device.PNPDeviceID
    $Address = Get-PciAddress $Id
    if (-not $Address) { return }
    if ($Id -notmatch '^PCI\\VEN_([0-9A-F]{4})&DEV_([0-9A-F]{4})&SUBSYS_([0-9A-F]{4})([0-9A-F]{4})') { return }
    $Ids = @($Matches[1], $Matches[2], $Matches[4], $Matches[3] | ForEach-Object { $_.ToLowerInvariant() })
    $Class = '000000'
    foreach ($HardwareId in @(Get-Property $Id 'DEVPKEY_Device_HardwareIds') + @(Get-Property $Id 'DEVPKEY_Device_CompatibleIds')) {
        if ($HardwareId -match '&CC_([0-9A-F]{6})') { $Class = $Matches[1].ToLowerInvariant(); break }
    }
    $Driver = $null
    if ($Device.Service) { $Driver = Get-CleanText $Device.Service }
    $Numa = Get-Property $Id 'DEVPKEY_Numa_Node'
    if ($null -eq $Numa) { $Numa = -1 }
    Add-Record 'function' ([ordered]@{
            address = $Address; path = Get-PciPath $Id
            vendor = $Ids[0]; device = $Ids[1]; class = $Class
            subsystem_vendor = $Ids[2]; subsystem_device = $Ids[3]
            driver = $Driver; irqs = 0; bars = [long[]] @(Get-Ranges $Device); numa = [int] $Numa
            link = Get-Link $Id 'Current'; max_link = Get-Link $Id 'Max'
        })
    # 43 is the driver that refused its device; the others are in Microsoft's cfg.h.
    if ($Device.ConfigManagerErrorCode -ne 0) {
        Add-Problem 'windows' ([int] $Device.ConfigManagerErrorCode) "$Address $($Device.Name) has a device manager error"
    }
}

# --- GPUs, as their drivers count them --------------------------------------------------------------

function Add-Gpu([string] $Source, [string] $Address, $Name, $Memory, $Uuid, $Version) {
    Add-Record 'gpu' ([ordered]@{
            source = $Source; address = $Address; name = $Name; memory_mib = $Memory
            uuid = $Uuid; version = $Version
        })
}

function Add-NvidiaGpus {
    if (-not (Get-Command nvidia-smi -ErrorAction SilentlyContinue)) { return }
    $Rows = Invoke-Tool 'nvidia-smi' 'nvidia-smi' @('--format=csv,noheader,nounits',
        '--query-gpu=pci.bus_id,uuid,driver_version,memory.total,name')
    foreach ($Row in @($Rows)) {
        $Parts = "$Row".Split([char[]] ',', 5)
        if ($Parts.Count -lt 5) { continue }
        $Bus = $Parts[0].Trim().ToLowerInvariant()
        if ($Bus -notmatch '^([0-9a-f]{4})?([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])$') { continue }
        $Address = $Matches[2]
        $Memory = $null
        if ($Parts[3].Trim() -match '^[0-9]{1,12}$') { $Memory = [long] $Parts[3] }
        Add-Gpu 'nvidia-smi' $Address (Get-CleanText $Parts[4]) $Memory (Get-CleanText $Parts[1]) (Get-CleanText $Parts[2])
    }
}

# AdapterRAM has 32 bits, so a card's memory is not known from here.
function Add-WindowsGpus {
    foreach ($Controller in Get-CimInstance Win32_VideoController) {
        if ($Controller.PNPDeviceID -notlike 'PCI\*') { continue }
        $Address = Get-PciAddress $Controller.PNPDeviceID
        if ($Address) {
            Add-Gpu 'windows' $Address (Get-CleanText $Controller.Name) $null $null (Get-CleanText $Controller.DriverVersion)
        }
    }
}

function Add-Benchmark([string] $Bodies) {
    if ($Bodies -notmatch '^[0-9]{1,8}$') { return }
    if (-not (Get-Command wholecard-bench -ErrorAction SilentlyContinue)) {
        Add-Problem 'wholecard-bench' 127 'wholecard-bench is not installed in this image'
        return
    }
    $Output = Invoke-Tool 'wholecard-bench' 'wholecard-bench' @('nbody', '--benchmark', '--num-bodies', $Bodies, '--json')
    if ($null -eq $Output) { return }
    $Result = ($Output -join "`n") | ConvertFrom-Json
    Add-Record 'benchmark' ([ordered]@{
            name = 'nbody'; backend = Get-CleanText $Result.backend; bodies = [int] $Bodies
            devices = @($Result.devices).Count; gflops = $Result.speed.gflops
            passed = [bool] $Result.check.passed
        })
}

# --- The report ------------------------------------------------------------------------------------

function Add-Machine($Asked) {
    $System = Get-CimInstance Win32_OperatingSystem
    $script:Boot = Get-FirstEight ($System.LastBootUpTime.ToUniversalTime().ToString('o'))
    Add-Record 'begin' ([ordered]@{
            format = 3; nonce = "$($Asked.nonce)"; agent = 'windows'; kernel = $System.Version
            os = Get-CleanText $System.Caption; cpus = [System.Environment]::ProcessorCount
            numa_nodes = 0; memory_mib = [long] ($System.TotalVisibleMemorySize / 1024)
        })
}

function Send-Report {
    $Text = "`r`n" + ($script:Lines -join "`r`n") + "`r`n"
    $Rounds = [Math]::Max(2, [Math]::Min($Repeat, [int] [Math]::Floor($AllBytes / $Text.Length)))
    $Port = New-Object System.IO.Ports.SerialPort 'COM1', 115200, 'None', 8, 'One'
    # cloudbase-init may have the port open for its own log.
    for ($Try = 0; -not $Port.IsOpen; $Try++) {
        try { $Port.Open() } catch { if ($Try -ge 60) { throw } ; Start-Sleep -Seconds 1 }
    }
    try {
        for ($Round = 0; $Round -lt $Rounds; $Round++) {
            if ($Round -gt 0) { Start-Sleep -Seconds $PauseSeconds }
            $Port.Write($Text)
        }
    } finally {
        $Port.Close()
    }
}

$Asked = Get-Asked
if (-not $Asked.nonce) { exit 0 }
Add-Machine $Asked
Add-NvidiaGpus
Add-WindowsGpus
foreach ($Device in Get-CimInstance Win32_PnPEntity -Filter "PNPDeviceID LIKE 'PCI\\%'") { Add-Function $Device }
Add-Benchmark "$($Asked.bench)"
if ($Asked.containers -and $Asked.containers -ne '0') {
    Add-Problem 'containers' $null 'containers are run by the Linux agent alone'
}
Add-Record 'end' ([ordered]@{
        functions = $script:Counts.function; codecs = 0; gpus = $script:Counts.gpu
        problems = $script:Counts.problem; benchmarks = $script:Counts.benchmark; containers = 0
    })
Send-Report
exit 0
